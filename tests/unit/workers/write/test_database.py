"""What a URI is completed with."""

from pathlib import Path

import pytest

from sluice_workers.write.database import sink_uri

URI = "postgresql://u:p@a:5432,b:5432/d"


@pytest.mark.parametrize(
    ("given", "completed"),
    [
        (URI, f"{URI}?sslmode=verify-full&sslrootcert="),
        (f"{URI}?sslmode=verify-ca", f"{URI}?sslmode=verify-ca&sslrootcert="),
        (
            f"{URI}?target_session_attrs=read-write",
            f"{URI}?target_session_attrs=read-write&sslmode=verify-full&sslrootcert=",
        ),
    ],
)
def test_an_authority_beside_the_uri_turns_verification_on(
    given: str, completed: str, tmp_path: Path
) -> None:
    (tmp_path / "uri").write_text(given + "\n")
    assert sink_uri(tmp_path, "uri") == given
    (tmp_path / "ca.crt").write_text("PEM")
    assert sink_uri(tmp_path, "uri").startswith(completed)
    assert sink_uri(tmp_path, "uri").endswith("ca.crt")
