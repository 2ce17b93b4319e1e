"""A model card beside every checkpoint says what the run's record says, to programs, to people and to the hub."""

import pytest
from huggingface_hub import ModelCard

from harness import ROOT
from robsynth.classifiers import build_classifier, load_classifier, save_classifier
from robsynth.errors import RequestError
from robsynth.files import file_sha1
from robsynth.lab.cards import describe_copy
from robsynth.records.card import card_path, read_card
from robsynth.records.record import COSTS, load_record
from robsynth.reports.card import card_markdown


def markdown_of(checkpoint):
    return card_path(checkpoint).with_suffix(".md").read_text()


def test_a_card_says_what_the_record_says(robust_run):
    directory, said = robust_run
    checkpoint, record = directory / said["checkpoint"], load_record(directory / "robust")
    card = read_card(checkpoint)
    assert str(card_path(checkpoint)) == str(directory / said["card"])
    assert card["figures"] == record.figures
    assert card["protocols"] == record.protocols
    assert card["weights"]["sha1"] == file_sha1(checkpoint)
    assert card["weights"]["parameters"] == sum(p.numel() for p in load_classifier(checkpoint)[0].parameters())
    assert card["epochs"]["last"] == record.history["classifier"][-1]
    assert card["training"]["adversary"] == record.config["adversary"]
    assert card["training"]["recipe"] == record.config["recipe"]
    stage = record.stages[0]
    assert card["costs"] == {key: stage[key] for key in COSTS if key in stage}
    assert {"wall_seconds", "cpu_seconds", "peak_memory_gb"} <= card["costs"].keys()
    for key in ("commit", "versions", "machine"):
        assert card["run"][key] == getattr(record, key)
    assert card["data"]["fingerprint"] == record.data["fingerprint"]
    assert card["network"]["classes"] == list("0123456789")


def test_the_text_is_rendered_from_the_card_and_the_hub_reads_it(robust_run):
    directory, said = robust_run
    checkpoint = directory / said["checkpoint"]
    card, text = read_card(checkpoint), markdown_of(checkpoint)
    assert text == card_markdown(card)
    hub = ModelCard(text).data
    assert (hub.license, hub.library_name, hub.datasets) == ("mit", "robsynth", ["ylecun/mnist"])
    quoted = [figure for figure in card["figures"] if "at" not in figure]
    assert [result.metric_value for result in hub.eval_results] == [figure["value"] for figure in quoted]
    assert [result.metric_name.split(", ")[1] for result in hub.eval_results] == [one["protocol"] for one in quoted]
    for figure in card["figures"]:
        assert f"`{figure['protocol']}`" in text
        assert f"{figure['value']:.4f}" in text
    assert card["weights"]["sha1"] in text
    assert str(ROOT) not in text


def test_a_bundle_has_the_card_of_what_it_was_made_of(robust_run):
    directory, said = robust_run
    original, bundle = (read_card(directory / said[key]) for key in ("checkpoint", "bundle"))
    assert bundle["copy of"] == "classifier.safetensors"
    assert bundle["weights"]["sha1"] == file_sha1(directory / said["bundle"]) != original["weights"]["sha1"]
    assert (bundle["weights"]["bits"], original["weights"]["bits"]) == (16, 32)
    assert {key: bundle[key] for key in original if key != "weights"} == {
        key: value for key, value in original.items() if key != "weights"
    }
    assert "figures are the original's" in markdown_of(directory / said["bundle"])


def test_the_judge_and_the_rival_have_cards_too(smoke):
    run, _ = smoke
    record = load_record(run)
    subjects = {"classifier/classifier": "robust classifier", "judge/classifier": "judge",
                "wgan_gp/generator": "wgan_gp"}  # fmt: skip
    for place, subject in subjects.items():
        checkpoint = run / f"{place}.safetensors"
        card = read_card(checkpoint)
        assert card["figures"] == [figure for figure in record.figures if figure["subject"] == subject]
        assert card["figures"]
        assert card["weights"]["sha1"] == file_sha1(checkpoint)
        assert ModelCard(markdown_of(checkpoint)).data.pipeline_tag.endswith(
            "generation" if subject == "wgan_gp" else "classification"
        )


def test_where_the_original_has_no_card_the_copy_says_what_is_known(tmp_path):
    network = build_classifier("compact", [4, 8, 8, 16], 1, 10, [0.1], [0.3])
    about = {"arch": "compact", "widths": [4, 8, 8, 16], "channels": 1, "shape": [1, 32, 32], "dataset": "mnist5k",
             "label_names": list("0123456789"), "source": "some.pt"}  # fmt: skip
    save_classifier(tmp_path / "copy.safetensors", network, about)
    describe_copy(tmp_path / "copy.safetensors", tmp_path / "original.pt")
    card = read_card(tmp_path / "copy.safetensors")
    assert (card["source"], card["copy of"], card["figures"]) == ("some.pt", "original.pt", [])
    assert "some.pt" in markdown_of(tmp_path / "copy.safetensors")
    with pytest.raises(RequestError, match=r"original\.card\.json: no such file"):
        read_card(tmp_path / "original.pt")


@pytest.mark.parametrize(
    "bundle", sorted((ROOT / "src" / "robsynth" / "bundles").glob("*.safetensors")), ids=lambda path: path.stem
)
def test_the_bundles_that_ship_have_cards_with_the_figures_of_their_records(bundle):
    card, record = read_card(bundle), load_record(ROOT / "results" / bundle.stem)
    assert card["weights"]["sha1"] == file_sha1(bundle)
    assert card["figures"] == [figure for figure in record.figures if figure["subject"] == "robust classifier"]
    assert markdown_of(bundle) == card_markdown(card)
