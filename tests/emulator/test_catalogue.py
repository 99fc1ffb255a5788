"""The table of the vendor doc."""

from __future__ import annotations

import pytest

from bytez_provider.emulator.catalogue import Row, ram_by_model, read_rows, vendor_catalogue


def test_the_table_is_that_of_the_vendor_doc() -> None:
    rows = vendor_catalogue()
    assert len(rows) == 62
    assert rows[0] == Row("EleutherAI/gpt-neo-2.7B", 2.23, True)
    assert rows[2] == Row("Gustavosta/MagicPrompt-Stable-Diffusion.onnx.8-bit", None, False)
    assert rows[-1] == Row("MediaTek-Research/Breeze-7B-Instruct-v1_0", 29.84, True)
    assert sum(row.benchmarked for row in rows) == 46
    # Implausible figures are not corrected.
    assert ram_by_model(rows)["vilsonrodrigues/falcon-7b-instruct-sharded"] == 0.44


def test_a_duplicate_without_a_figure_does_not_count() -> None:
    rows = [row for row in vendor_catalogue() if row.name == "openai-community/gpt2"]
    assert [row.required_ram for row in rows] == [0.5, None]
    assert ram_by_model(rows) == ram_by_model(rows[::-1]) == {"openai-community/gpt2": 0.5}


@pytest.mark.parametrize(
    "wrong", [{"name": "own"}, {"requiredRAM": -1}, {"requiredRAM": True}, {"benchmarked": 1}]
)
def test_an_invalid_row_is_named(wrong: dict[str, object]) -> None:
    entry = {"name": "our/own", "requiredRAM": None, "benchmarked": True}
    assert read_rows([entry]) == (Row("our/own", None, True),)
    with pytest.raises(ValueError, match="model 2 must be"):
        read_rows([entry, {**entry, **wrong}])
