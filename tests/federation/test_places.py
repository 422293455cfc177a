"""Which stores `--db` names, and what each is called."""

import pytest

from failaware import UsageError
from failaware.federation import named_places
from failaware.federation.ssh import ssh_command


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    file = tmp_path / "failaware" / "inspector.toml"
    file.parent.mkdir()
    return file


@pytest.mark.parametrize(
    ("places", "names"),
    [
        (["shop.db"], ["shop"]),
        (["/srv/a/failaware.db", "/srv/b/failaware.db", "x.db"], ["a-failaware", "b-failaware", "x"]),
        (["postgresql://me:secret@db/ops?schema=billing", "postgresql://db/crm"], ["billing", "crm"]),
        (["postgresql://one/ops", "postgresql://two/ops"], ["one-ops-ops", "two-ops-ops"]),
        (["ssh://web1/srv/x.db", "ssh://ada@web2:2222/srv/x.db"], ["web1", "web2"]),
        (["ssh://web1/srv/x.db", "ssh://web1/srv/y.db"], ["web1-x", "web1-y"]),
        (["x.db", "x.db"], ["x"]),
        (["a b@c.db"], ["a-b-c"]),
    ],
)
def test_stores_have_distinct_names_without_secrets(places, names):
    assert [place.name for place in named_places(places)] == names


def test_a_group_is_a_list_or_a_table_in_the_settings(settings):
    settings.write_text(
        'theme = "nord"\n[groups]\nhosts = ["/srv/a.db", "ssh://web1/srv/b.db"]\n'
        '[groups.eu]\nshop = "/srv/shop.db"\nold = "x.db"\n'
    )
    assert named_places(["@hosts", "c.db"]) == [("a", "/srv/a.db"), ("web1", "ssh://web1/srv/b.db"), ("c", "c.db")]
    assert named_places(["@eu"]) == [("shop", "/srv/shop.db"), ("old", str(settings.parent / "x.db"))]


def test_a_file_of_several_names_is_one_store(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop.db").touch()
    (tmp_path / "link.db").symlink_to("shop.db")
    (tmp_path / "hard.db").hardlink_to("shop.db")
    given = ["shop.db", "./shop.db", str(tmp_path / "shop.db"), "link.db", "hard.db", "none.db", "./none.db"]
    assert named_places(given) == [("shop", "shop.db"), ("none", "none.db")]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "there is no group @eu under"),
        ('[groups]\nus = ["a.db"]', "there are: @us"),
        ("[groups]\neu = []", "must be a list of places"),
        ('[groups]\neu = ["@eu"]', "it cannot name another group"),
        ("[groups]\neu = [1]", "must be a list of places"),
        ("[groups", "cannot read the groups of stores from"),
        ('groups = "x"', "there are: none"),
    ],
)
def test_a_group_that_is_not_as_described_is_refused(settings, text, says):
    if text is not None:
        settings.write_text(text)
    with pytest.raises(UsageError, match=says):
        named_places(["@eu"])


def test_the_command_for_another_host_is_quoted_and_has_no_options_of_others():
    assert ssh_command("ssh://ada@web1:2222/srv/my%20store.db")[-5:] == [
        *("-p", "2222", "--", "ada@web1", "failaware --db '/srv/my store.db' answer"),
    ]
    assert ssh_command("ssh://web1/~/x.db")[-1] == "failaware --db x.db answer"


@pytest.mark.parametrize(
    "place", ["ssh://-oProxyCommand=x/y", "ssh:///x.db", "ssh://web1", "ssh://web1/", "ssh://h:x/y"]
)
def test_a_place_that_names_no_store_of_a_host_is_refused(place):
    with pytest.raises(UsageError, match="ssh://user@host/path"):
        ssh_command(place)
