"""Settings as an operator writes them: what is taken, and what is said where something is wrong."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from pydantic import BaseModel

from visavis_proxy.setting_names import setting_names
from visavis_proxy.settings import Settings, SettingsInvalid, read_settings


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("VISAVIS_AWS__AUTHORISATION", "VISAVIS_AWS__AUTHORIZATION"),
        ("VISAVIS_AWS_AUTHORIZATION", "VISAVIS_AWS__AUTHORIZATION"),
        ("VISAVIS_STATE__URI", "VISAVIS_STATE__URL"),
        ("visavis_hots", "VISAVIS_HOST"),
        ("VISAVIS_JDCLOUD__POSTURE_LIMITS__JAW", "VISAVIS_JDCLOUD__POSTURE_LIMITS__YAW"),
    ],
)
def test_a_misspelt_name_is_refused_with_the_right_one(
    monkeypatch: pytest.MonkeyPatch, name: str, nearest: str
) -> None:
    monkeypatch.setenv(name, "secret-value")
    with pytest.raises(SettingsInvalid) as refusal:
        read_settings()
    assert str(refusal.value) == f"{name} is no setting: did you mean {nearest}?"


def test_a_name_that_resembles_nothing_is_refused_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISAVIS_QQQQQQQQ", "1")
    monkeypatch.setenv("VISAVIS_XXXXXXXX", "1")
    with pytest.raises(SettingsInvalid, match=r"^VISAVIS_QQQQQQQQ is no setting; VISAVIS_XXXXXXXX is no setting$"):
        read_settings()


@pytest.mark.parametrize("name", ["VISAVIS_ACCEPT_LICENCE", "VISAVIS_TEST_ANYTHING", "VISAVISION", "visavis_port"])
def test_names_of_others_pass(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "1")
    read_settings()


def test_every_field_of_the_settings_has_its_name() -> None:
    """Each name that is told sets the field of that path, and groups within groups are among them."""
    names = set(setting_names(Settings))
    for name in names:
        model: type[BaseModel] = Settings
        *groups, field = name.removeprefix("VISAVIS_").lower().split("__")
        for group in groups:
            model = model.model_fields[group].annotation  # type: ignore[assignment]
        assert field in model.model_fields
    assert {"VISAVIS_HOST", "VISAVIS_FETCH", "VISAVIS_FETCH__MAX_REDIRECTS"} < names
    assert "VISAVIS_JDCLOUD__POSTURE_LIMITS__YAW" in names


@pytest.mark.parametrize("text", ["10.1.0.0/16,fd00::/8", " 10.1.0.0/16 , fd00::/8,", '["10.1.0.0/16", "fd00::/8"]'])
def test_networks_are_written_with_commas_or_as_json(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("VISAVIS_FETCH__ALLOWED_NETWORKS", text)
    assert read_settings().fetch.allowed_networks == (ip_network("10.1.0.0/16"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("10.1.0.0/33", "'10.1.0.0/33' does not appear to be an IPv4 or IPv6 network; networks are written as 10.1."),
        ("10.1.2.3/8", "10.1.2.3/8 has host bits set; networks are written as 10.1."),
        ("anything", "'anything' does not appear to be an IPv4 or IPv6 network; networks are written as 10.1."),
        ("[10.1.0.0/16", "neither values with commas between them nor a list in JSON"),
        ("[null]", "None does not appear to be an IPv4 or IPv6 network; networks are written as 10.1."),
    ],
)
def test_what_is_no_network_is_told_in_words(monkeypatch: pytest.MonkeyPatch, text: str, words: str) -> None:
    monkeypatch.setenv("VISAVIS_FETCH__ALLOWED_NETWORKS", text)
    with pytest.raises(SettingsInvalid) as refusal:
        read_settings()
    assert str(refusal.value).startswith(f"VISAVIS_FETCH__ALLOWED_NETWORKS: {words}")
    assert "\n" not in str(refusal.value)


def test_other_lists_are_written_the_same_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISAVIS_S3__BUCKETS", "photos,portraits")
    monkeypatch.setenv("VISAVIS_AWS__STAGES", "prod,v1")
    settings = read_settings()
    assert settings.s3.buckets == ("photos", "portraits")
    assert settings.aws.stages == ("prod", "v1")


def test_a_group_that_is_no_json_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISAVIS_FETCH", "10")
    with pytest.raises(SettingsInvalid, match=r"^[^\n]*fetch[^\n]*$|^VISAVIS_FETCH: "):
        read_settings()
