from pathlib import Path

import pytest

from reglab_site.blocks import BlockError, bare, execute, extract, same_output
from reglab_site.fill import nested

PAGE = """# Title

```python
x = 1
print(x / 3)
```

```{ .text .output }
0.3333
```

??? note "More"

    ```python
    print(x)
    ```

```sh
ls
```
"""


def test_python_blocks_are_found_with_their_output_and_every_fence_is_counted() -> None:
    blocks, fences = extract(PAGE)
    assert [block.code for block in blocks] == ["x = 1\nprint(x / 3)", "print(x)"]
    assert [block.output for block in blocks] == ["0.3333\n", None]
    assert fences == 4


def test_code_in_a_folded_block_keeps_its_blank_lines() -> None:
    folded = nested("```python\nimport math\n\n\ndef f():\n\n    return 1\n```", "    ")
    (block,), _ = extract(f"??? check\n\n{folded}\n")
    assert block.code == "import math\n\n\ndef f():\n\n    return 1"


def test_a_block_cannot_be_skipped() -> None:
    with pytest.raises(ValueError, match="no block of a page may be skipped"):
        extract("<!--pytest.mark.skip-->\n```python\nassert False\n```\n")


def test_blocks_share_one_namespace_and_keep_their_outputs_apart() -> None:
    assert execute(["x = 2", "print(x)", "print(x + 1)"]) == ["", "2\n", "3\n"]


def test_a_dataclass_pickle_and_own_modules_work_as_in_a_program(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("name = 'own'\n")
    code = "import pickle\nimport own\ndef f(): return own.name\nprint(pickle.loads(pickle.dumps(f))(), __name__)"
    assert execute([code], path=[tmp_path]) == ["own __main__\n"]


def test_a_block_that_raises_is_named_with_its_line() -> None:
    with pytest.raises(BlockError, match=r"block 2 raised(.|\n)*line 2(.|\n)*1 / 0") as caught:
        execute(["x = 1", "x = 2\n1 / 0", "x = 3"])
    assert caught.value.index == 1


def test_a_block_that_warns_fails() -> None:
    with pytest.raises(BlockError, match="UserWarning"):
        execute(["import warnings\nwarnings.warn('careful')"])


def test_a_process_that_dies_is_an_error_not_an_empty_output() -> None:
    with pytest.raises(RuntimeError, match="ended with 3"):
        execute(["import os\nos._exit(3)"])


@pytest.mark.parametrize(
    ("expected", "actual", "same"),
    [
        ("loss 0.1234", "loss 0.1236", True),
        ("loss 0.1234", "loss 0.2234", False),
        ("step 200", "step 200", True),
        ("step 200", "step 201", False),
        ("1.5e-07 small", "1.6e-07 small", True),
        ("tensor([1., 2.])", "tensor([1., 2.0001])", True),
        ("nan", "0.1", False),
        ("train 1.0", "test 1.0", False),
        ("BatchNorm2d 3", "BatchNorm1d 3", False),
        ("1.0", "1.0 2.0", False),
    ],
)
def test_outputs_are_compared_with_a_tolerance_for_floats_only(expected: str, actual: str, same: bool) -> None:
    assert same_output(expected, actual) is same


def test_the_same_code_with_other_comments_is_the_same_code() -> None:
    english = "# how\nx = f(1)  # why\nif x:\n    y = '# no comment'"
    chinese = "# 怎样\n# 两行\nx = f(1)  # 为何\nif x:\n    y = '# no comment'"
    assert bare(english) == bare(chinese)
    assert bare(english) != bare(english.replace("f(1)", "f(2)"))
