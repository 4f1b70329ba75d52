// Material puts a <nav> without a name into every code block. Several of them on a page are landmarks that a screen reader
// cannot tell apart; a group is what they are.
const asGroup = (nav) => nav.setAttribute("role", "group");

document.querySelectorAll(".md-code__nav").forEach(asGroup);
new MutationObserver((changes) => {
  for (const { addedNodes } of changes)
    for (const node of addedNodes) if (node.nodeType === 1 && node.matches(".md-code__nav")) asGroup(node);
}).observe(document.body, { childList: true, subtree: true });
