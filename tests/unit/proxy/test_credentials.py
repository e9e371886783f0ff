"""The file of keys: who may read it, what is said of a wrong one, and how it is read anew."""

from __future__ import annotations

import string
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from visavis_proxy.contracts.aliyun import signature_acs3 as acs3
from visavis_proxy.contracts.aliyun.request import AcsRequest
from visavis_proxy.contracts.aws import signature as aws
from visavis_proxy.contracts.jdcloud import signature as jdcloud
from visavis_proxy.credentials import Contract, Credentials, CredentialsInvalid, Key

ONE = '[[key]]\nid = "one"\nsecret = "very secret"\n'
TWO = '[[key]]\nid = "two"\nsecret = "very secret too"\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "credentials.toml"
    path.write_text(ONE)
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o440, 0o640])
def test_its_owner_and_a_group_may_read_it(file: Path, mode: int) -> None:
    """A Secret that Kubernetes mounts is root's, and reaches another user through its group alone."""
    file.chmod(mode)
    assert Credentials.load(file).find("one") is not None


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o620, 0o660, 0o644, 0o666])
def test_others_may_not_read_it_and_a_group_may_not_write_it(file: Path, mode: int) -> None:
    file.chmod(mode)
    with pytest.raises(CredentialsInvalid, match=f"chmod 600 {file}$"):
        Credentials.load(file)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "names no key"),
        ("key = 3", r"begins with \[\[key\]\]"),
        ("key = [3]", "valid dictionary"),
        (ONE + ONE, "'one' appears twice"),
        (ONE + "qps = -1", "qps: Input should be greater than 0"),
        (ONE + "qpss = 1\n", "qpss: Extra inputs are not permitted"),
        ('[keys]\na = "very secret"', "unknown keys"),
        (ONE + 'broken = "very secret', "is not TOML"),
    ],
)
def test_what_is_wrong_is_told_without_a_secret(file: Path, text: str, words: str) -> None:
    """And where a service runs, its keys stay as they were."""
    running = Credentials.load(file)
    file.write_text(text)
    for read in (lambda: Credentials.load(file), running.reload):
        with pytest.raises(CredentialsInvalid, match=words) as refusal:
            read()
        assert "very secret" not in str(refusal.value)
        assert "\n" not in str(refusal.value)
    assert running.find("one") is not None


def test_reading_it_anew_takes_all_of_it(file: Path) -> None:
    """Keys come and go; what was found before stays whole for whoever holds it."""
    running = Credentials.load(file)
    held = running.find("one")
    file.write_text(TWO)
    running.reload()
    assert running.find("one") is None
    assert running.find("two") is not None
    assert held is not None
    assert held.secret_is("very secret")


def test_a_file_that_is_gone_or_was_opened_to_others_changes_nothing(file: Path) -> None:
    running = Credentials.load(file)
    file.write_text(TWO)
    file.chmod(0o644)
    with pytest.raises(CredentialsInvalid, match="chmod 600"):
        running.reload()
    file.unlink()
    with pytest.raises(CredentialsInvalid, match="cannot read credentials"):
        running.reload()
    assert running.find("one") is not None


def sent_to_aws(key_id: str) -> str:
    claim = f"AWS4-HMAC-SHA256 Credential={key_id}/20260101/r/execute-api/aws4_request, SignedHeaders=host, Signature=0"
    headers = (("authorization", claim), ("x-amz-date", "20260101T000000Z"))
    return aws.read_authorization(aws.SentRequest("POST", "/", headers, b"")).key_id


def sent_to_aliyun(key_id: str) -> str:
    names = ("host", *(f"x-acs-{n}" for n in ("action", "version", "date", "signature-nonce", "content-sha256")))
    claim = f"ACS3-HMAC-SHA256 Credential={key_id},SignedHeaders={';'.join(names)},Signature={'0' * 64}"
    headers = (("authorization", claim), *((name, "x") for name in names))
    return acs3.read_authorization(AcsRequest("POST", "/", (), (), headers, b"")).key_id


def sent_to_jdcloud(key_id: str) -> str:
    claim = (
        f"JDCLOUD3-HMAC-SHA256 Credential={key_id}/20260101/r/s/jdcloud3_request, "
        f"SignedHeaders={jdcloud.DATE}, Signature={'0' * 64}"
    )
    headers = [("Authorization", claim), (jdcloud.DATE, "20260101T000000Z"), (jdcloud.NONCE, "n")]
    return jdcloud.read_claim(jdcloud.HttpRequest("POST", "/", headers, b"")).key_id


@pytest.mark.parametrize(
    ("contract", "sent"),
    [(Contract.AWS, sent_to_aws), (Contract.ALIYUN, sent_to_aliyun), (Contract.JDCLOUD, sent_to_jdcloud)],
)
def test_an_id_is_taken_where_its_contract_reads_it_back(contract: Contract, sent: Callable[[str], str]) -> None:
    """Each visible character of ASCII: a key that could never sign is refused, and no other one."""

    def can_sign(key_id: str) -> bool:
        try:
            return sent(key_id) == key_id
        except (aws.Refused, acs3.AuthorizationMalformed, jdcloud.SignatureInvalid):
            return False

    def is_taken(key_id: str) -> bool:
        try:
            return bool(Key(id=key_id, secret="s", contracts=(contract,)))
        except ValidationError:
            return False

    ids = [f"a{character}b" for character in string.digits + string.ascii_letters + string.punctuation]
    assert [key_id for key_id in ids if is_taken(key_id)] == [key_id for key_id in ids if can_sign(key_id)]


@pytest.mark.parametrize(
    ("key_id", "contracts", "words"),
    [
        ("a,b", '"aws"', "the key id 'a,b' has ',', which has no place in the Authorization header of aws"),
        ("a b", '"facepp", "aliyun", "aws"', "has ' ', which has no place in the Authorization header of aliyun, aws"),
        ("a/b", '"aws", "jdcloud"', "has '/', which has no place in the Authorization header of jdcloud"),
        ("ключ", '"jdcloud"', "the key id 'ключ' has 'к', which"),
    ],
)
def test_an_id_that_can_never_sign_is_told_with_its_character(
    file: Path, key_id: str, contracts: str, words: str
) -> None:
    file.write_text(f'[[key]]\nid = "{key_id}"\nsecret = "very secret"\ncontracts = [{contracts}]\n')
    with pytest.raises(CredentialsInvalid) as refusal:
        Credentials.load(file)
    assert words in str(refusal.value)
    assert str(refusal.value).startswith(f"{file}: the key id ")
    assert "very secret" not in str(refusal.value)


def test_face_plus_plus_takes_any_id(file: Path) -> None:
    """It comes in a form's field."""
    file.write_text('[[key]]\nid = "a, b/ц"\nsecret = "s"\ncontracts = ["facepp"]\n')
    assert Credentials.load(file).find("a, b/ц") is not None
