"""The hub's table in the apply file: what it makes of a right one, and the key of every fault."""

import copy
import tomllib

import pytest

from campaigns.data_hub.kind import kind
from campaigns.data_hub.settings import Target, load_settings
from gateway.contract.errors import BadConfig

RIGHT = tomllib.loads("""
grants = ["auditor"]
[models.visit]
version = 2
grants = ["crm token"]
chain = [{ handler = "rename", from = "amt", to = "amount_fen" }]
targets = ["crm", "lake", "cache"]
key_as = { crm = "visit_id" }
keep_days = 90
[models.visit.fields.amount_fen]
module = "payment"
type = "int"
required = true
map = { crm = "amount", lake = "amount_fen" }
rule = { min = 0, max = 1000000 }
[models.visit.fields.way]
module = "payment"
type = "text"
map = { crm = "way" }
rule = { longest = 20, one_of = ["wechat", "alipay"] }
[targets.crm]
kind = "http"
url = "http://127.0.0.1:9100/in"
[targets.lake]
kind = "sqlite"
file = "visits.db"
[targets.cache]
kind = "redis"
url = "redis://127.0.0.1:6379/0"
prefix = "hub:"
[select.visit]
version = 1
fields = ["amount_fen"]
grants = ["spring"]
""")


def changed(path, value):
    """RIGHT with one value changed, or taken away where it is None."""
    table = copy.deepcopy(RIGHT)
    *way, last = path.split("/")
    part = table
    for name in way:
        part = part.setdefault(name, {}) if isinstance(part, dict) else part[int(name)]
    if value is None:
        del part[last]
    else:
        part[last] = value
    return table


def test_R211_a_right_table_makes_models_targets_and_selections():
    made = load_settings(RIGHT)
    visit = made.models["visit"]
    assert (visit.version, visit.targets, visit.keep_days) == (2, ("crm", "lake", "cache"), 90)
    assert visit.grants == {"auditor", "crm token"}
    assert visit.fields["amount_fen"].map == {"crm": "amount", "lake": "amount_fen"}
    assert visit.fields["way"].rule.one_of == ("wechat", "alipay")
    assert made.targets["lake"] == Target("lake", "sqlite", file="visits.db")
    assert made.select["visit"].fields == ("amount_fen",)


def test_R211_a_field_more_needs_no_code():
    more = changed("models/visit/fields/table_no", {"module": "till", "type": "text"})
    assert set(load_settings(more).models["visit"].fields) == {"amount_fen", "way", "table_no"}


def test_R210_nobody_is_granted_by_default():
    table = changed("models/visit/grants", None)
    del table["grants"]
    assert load_settings(table).models["visit"].grants == frozenset()


def test_R016_an_address_stays_out_of_logs():
    secret = changed("targets/cache/url", "redis://:hunter2@127.0.0.1:6379/0")
    assert "hunter2" not in repr(load_settings(secret))


@pytest.mark.parametrize(
    ("path", "value", "key"),
    [
        ("models", [], "models"),
        ("models", {}, "select"),
        ("models/visit", "x", "models.visit"),
        ("models/Visit", {"fields": {}}, "models.Visit"),
        ("models/sqlite_master", {"fields": {}}, "models.sqlite_master"),
        ("models/visit/version", 0, "models.visit.version"),
        ("models/visit/version", True, "models.visit.version"),
        ("models/visit/version", "2", "models.visit.version"),
        ("models/visit/stranger", 1, "models.visit.stranger"),
        ("models/visit/fields", {}, "models.visit.fields"),
        ("models/visit/fields", None, "models.visit.fields"),
        ("models/visit/fields", [], "models.visit.fields"),
        ("models/visit/fields/a b", {"type": "int"}, "models.visit.fields.a b"),
        ("models/visit/fields/way/type", None, "models.visit.fields.way.type"),
        ("models/visit/fields/way/type", "float", "models.visit.fields.way.type"),
        ("models/visit/fields/way/type", ["int"], "models.visit.fields.way.type"),
        ("models/visit/fields/way/required", 1, "models.visit.fields.way.required"),
        ("models/visit/fields/way/module", 7, "models.visit.fields.way.module"),
        ("models/visit/fields/way/map", ["crm"], "models.visit.fields.way.map"),
        ("models/visit/fields/way/map", {"erp": "x"}, "models.visit.fields.way.map.erp"),
        ("models/visit/fields/way/map", {"crm": "amount"}, "models.visit.fields.way.map.crm"),
        ("models/visit/fields/way/map", {"crm": "visit_id"}, "models.visit.key_as.crm"),
        ("models/visit/fields/way/map", {"lake": "key"}, "models.visit.fields.way.map.lake"),
        ("models/visit/fields/way/map", {"lake": "AMOUNT_FEN"}, "models.visit.fields.way.map.lake"),
        ("models/visit/fields/way/map", {"lake": 'x"; DROP TABLE visit'}, "models.visit.fields.way.map.lake"),
        ("models/visit/fields/way/rule", {"min": 1}, "models.visit.fields.way.rule.min"),
        ("models/visit/fields/way/rule", {"longest": 0}, "models.visit.fields.way.rule.longest"),
        ("models/visit/fields/way/rule", {"one_of": [1]}, "models.visit.fields.way.rule.one_of"),
        ("models/visit/fields/way/rule", {"one_of": []}, "models.visit.fields.way.rule.one_of"),
        ("models/visit/fields/way/rule", {"matches": "(a+)+"}, "models.visit.fields.way.rule.matches"),
        ("models/visit/fields/way/rule", 5, "models.visit.fields.way.rule"),
        ("models/visit/fields/amount_fen/rule", {"min": 2, "max": 1}, "models.visit.fields.amount_fen.rule.max"),
        ("models/visit/fields/amount_fen/rule", {"min": 1.5}, "models.visit.fields.amount_fen.rule.min"),
        ("models/visit/chain", {}, "models.visit.chain"),
        ("models/visit/chain", [{"handler": "os.system"}], "models.visit.chain.0.handler"),
        ("models/visit/chain", [{"handler": "rename", "from": "a"}], "models.visit.chain.0.to"),
        ("models/visit/chain", [{"handler": "trim", "field": "a"}] * 51, "models.visit.chain"),
        ("models/visit/targets", ["erp"], "models.visit.targets"),
        ("models/visit/targets", "crm", "models.visit.targets"),
        ("models/visit/grants", "crm token", "models.visit.grants"),
        ("models/visit/grants", [""], "models.visit.grants"),
        ("models/visit/key_as", {"erp": "id"}, "models.visit.key_as.erp"),
        ("models/visit/keep_days", -1, "models.visit.keep_days"),
        ("grants", [1], "grants"),
        ("targets/crm/kind", "ftp", "targets.crm.kind"),
        ("targets/crm/kind", None, "targets.crm.kind"),
        ("targets/crm/url", None, "targets.crm.url"),
        ("targets/crm/url", "ftp://127.0.0.1/in", "targets.crm.url"),
        ("targets/crm/url", "http://", "targets.crm.url"),
        ("targets/crm/url", "http://127.0.0.1:x/", "targets.crm.url"),
        ("targets/crm/url", "http://127.0.0.1/in\r\nX-Y: 1", "targets.crm.url"),
        ("targets/crm/url", 5, "targets.crm.url"),
        ("targets/crm/file", "x.db", "targets.crm.file"),
        ("targets/lake/file", "../drainage.db", "targets.lake.file"),
        ("targets/lake/file", "/etc/passwd", "targets.lake.file"),
        ("targets/lake/file", "a/b.db", "targets.lake.file"),
        ("targets/lake/file", "visits.db\n", "targets.lake.file"),
        ("targets/lake/file", "file:visits.db?mode=rw", "targets.lake.file"),
        ("targets/cache/url", "unix:///run/redis.sock", "targets.cache.url"),
        ("targets/cache/url", "http://127.0.0.1:6379", "targets.cache.url"),
        ("targets/cache/prefix", "a b", "targets.cache.prefix"),
        ("select/visit/fields", "amount_fen", "select.visit.fields"),
        ("select/visit/version", -1, "select.visit.version"),
        ("select/visit/stranger", 1, "select.visit.stranger"),
        ("stranger", 1, "stranger"),
    ],
)
def test_R211_every_fault_is_told_by_its_key(path, value, key):
    table = changed(path, value)
    if path == "models" and value == {}:
        del table["select"]
        key = "models"
    with pytest.raises(BadConfig) as refused:
        load_settings(table)
    assert key in [place for place, _ in refused.value.faults]


class Facts:
    """A catalogue that allows this machine alone."""

    def refuses(self, url):
        return None if "//127.0.0.1" in url else "must not be called"


class View:
    """A campaign, as far as `faults` looks at it."""

    def __init__(self, table):
        self.settings = load_settings(table)


@pytest.mark.parametrize(
    ("path", "value", "key"),
    [
        ("targets/crm/url", "http://169.254.169.254/latest", "targets.crm.url"),
        ("targets/crm/url", "http://[fd00::1]/in", "targets.crm.url"),
        ("targets/cache/url", "redis://10.0.0.5:6379/0", "targets.cache.url"),
        ("targets/cache/url", "redis://[fd00::1]/0", "targets.cache.url"),
    ],
)
def test_R214_a_target_that_may_not_be_called_is_a_fault(path, value, key):
    assert list(kind.faults(View(RIGHT), Facts())) == []
    assert [place for place, _ in kind.faults(View(changed(path, value)), Facts())] == [key]


def test_R214_a_redis_target_needs_its_library(monkeypatch):
    monkeypatch.setattr("campaigns.data_hub.kind.has_redis", lambda: False)
    assert [place for place, _ in kind.faults(View(RIGHT), Facts())] == ["targets.cache.kind"]
