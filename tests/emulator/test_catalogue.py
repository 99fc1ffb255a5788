"""The seed's table."""

from __future__ import annotations

import pytest

from bytez_provider.emulator.catalogue import Row, ram_by_model, read_rows, seed_catalogue


def test_the_table_is_the_seed_s() -> None:
    rows = seed_catalogue()
    assert len(rows) == 62
    assert rows[0] == Row("EleutherAI/gpt-neo-2.7B", 2.23, True)
    assert rows[2] == Row("Gustavosta/MagicPrompt-Stable-Diffusion.onnx.8-bit", None, False)
    assert rows[-1] == Row("MediaTek-Research/Breeze-7B-Instruct-v1_0", 29.84, True)
    assert sum(row.benchmarked for row in rows) == 46
    assert all(row.benchmarked == (row.required_ram is not None) for row in rows)


def test_of_a_name_that_stands_twice_the_figure_counts() -> None:
    rows = [row for row in seed_catalogue() if row.name == "openai-community/gpt2"]
    assert [row.required_ram for row in rows] == [0.5, None]
    assert ram_by_model(rows) == ram_by_model(rows[::-1]) == {"openai-community/gpt2": 0.5}


def test_implausible_figures_are_passed_on() -> None:
    assert ram_by_model(seed_catalogue())["vilsonrodrigues/falcon-7b-instruct-sharded"] == 0.44


def test_rows_are_read_in_the_seed_s_form() -> None:
    entry = {"name": "our/own", "requiredRAM": None, "benchmarked": True}
    assert read_rows([entry]) == (Row("our/own", None, True),)
    for wrong in ({"name": "own"}, {"requiredRAM": -1}, {"requiredRAM": True}, {"benchmarked": 1}):
        with pytest.raises(ValueError, match="model 2 must be"):
            read_rows([entry, {**entry, **wrong}])
