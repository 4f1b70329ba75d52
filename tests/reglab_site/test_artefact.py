from reglab_site.artefact import Artefact, CellResult, Figure


def test_an_artefact_survives_json() -> None:
    figure = Figure("fit", {"zh": "<svg/>", "en": "<svg/>"}, 560.0, 340.0, ("loss",))
    artefact = Artefact(
        snippet="a/b",
        key="k",
        cells=(CellResult("fit", "x = 1", "1\n", (figure,), 0.5),),
        values={"x": 1, "losses": [0.1, 0.2], "by_name": {"中文": "a"}},
        translations={"loss": "损失"},
        assertions=2,
        seconds=0.5,
        made_at="2026-01-01T00:00:00Z",
        machine="m",
        versions={"torch": "2"},
    )
    again = Artefact.from_json(artefact.to_json())
    assert again == artefact
    assert again.to_json() == artefact.to_json()
    assert again.cell("fit").figures == (figure,)
    assert again.figures == {"fit": figure}
    assert again.stem == "b"
