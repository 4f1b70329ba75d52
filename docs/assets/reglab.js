// Material puts a <nav> without a name into every code block. Several of them on a page are landmarks that a screen reader
// cannot tell apart; a group is what they are.
const asGroup = (nav) => nav.setAttribute("role", "group");

document.querySelectorAll(".md-code__nav").forEach(asGroup);
new MutationObserver((changes) => {
  for (const { addedNodes } of changes)
    for (const node of addedNodes) if (node.nodeType === 1 && node.matches(".md-code__nav")) asGroup(node);
}).observe(document.body, { childList: true, subtree: true });

// The table of errata, by source and kind. Without this script it shows all entries, and no menus.
for (const form of document.querySelectorAll(".rl-filter")) {
  const rows = [...document.querySelectorAll(".rl-erratum")].map((mark) => [mark.dataset, mark.closest("tr")]);
  const count = form.querySelector("output");
  const choose = () => {
    const { source, kind } = Object.fromEntries(new FormData(form));
    let shown = 0;
    for (const [data, row] of rows) {
      row.hidden = !((!source || data.source.split(" ").includes(source)) && (!kind || data.kind === kind));
      shown += !row.hidden;
    }
    count.textContent = count.dataset.text.replace("{}", shown);
  };
  form.addEventListener("change", choose);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  choose();
}
