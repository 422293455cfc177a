"""Recognizes tokens in the formats of their providers, by a table of prefixes, in one pass.

Every token has 16 or more letters, digits, `-` and `_` in a row; most texts have no such row.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple


class TokenFormat(NamedTuple):
    """A provider's format: a token begins with one of `prefixes`, followed by a match of `rest`."""

    provider: str
    prefixes: tuple[str, ...]
    rest: re.Pattern[str]


def _format(provider: str, prefixes: str, rest: str) -> TokenFormat:
    return TokenFormat(provider, tuple(prefixes.split()), re.compile(rf"(?:{rest})(?![A-Za-z0-9])"))


_A, _W, _H = "[A-Za-z0-9]", r"[\w-]", "[0-9a-f]"
_CSS_CLASS = r"(?:[a-z]{1,16}-){1,8}(?:[a-z]{1,16}|\d{1,3})(?![\w-])"  # sk-folding-cube-animation-1
_DIGIT = r"(?=[\w-]{0,40}\d)"
FORMATS = (
    _format("1Password", "ops_eyJ", r"[A-Za-z0-9+/=_-]{40,}"),
    _format("age", "AGE-SECRET-KEY-1", "[0-9A-Z]{40,}"),
    _format("Airtable", "pat", rf"{_A}{{14}}\.{_H}{{40,}}"),
    _format("Artifactory", "AKCp", rf"{_A}{{50,}}"),
    _format("Atlassian", "ATATT3 ATCTT3 ATBB", r"[\w=-]{24,}"),
    _format("AWS key id", "AKIA ASIA ABIA ACCA", "[A-Z0-9]{16}"),
    _format("Braintree", "access_token$production$ access_token$sandbox$", r"[\w$]{30,}"),
    _format("Brevo", "xkeysib- xsmtpsib-", rf"{_H}{{40,}}-{_A}{{12,}}"),
    _format("Buildkite", "bkua_ bkpat_", rf"{_H}{{32,}}"),
    _format("Cargo", "cio", rf"{_DIGIT}{_A}{{32}}"),
    _format("CircleCI", "CCIPAT_ CCIPRJ_", r"\w{32,}"),
    _format("Clojars", "CLOJARS_", rf"{_H}{{50,}}"),
    _format("Cloudflare", "v1.0-", rf"{_H}{{20,}}-{_H}{{100,}}"),
    _format("Contentful", "CFPAT-", rf"{_W}{{40,}}"),
    _format("Databricks", "dapi", rf"{_H}{{32}}(?:-\d)?"),
    _format("DigitalOcean", "dop_v1_ doo_v1_ dor_v1_", rf"{_H}{{60,}}"),
    _format("Django", "django-insecure-", r"[\w!@#$%^&*()+=-]{30,}"),
    _format("Docker", "dckr_pat_ dckr_oat_", rf"{_W}{{20,}}"),
    _format("Doppler", "dp.pt. dp.st. dp.ct. dp.sa. dp.scim. dp.audit.", r"[\w.-]{30,}"),
    _format("Duffel", "duffel_live_ duffel_test_", r"[\w=-]{40,}"),
    _format("Dynatrace", "dt0c01. dt0s01. dt0s02.", rf"[A-Z0-9]{{8,24}}\.{_A}{{60,}}"),
    _format("EasyPost", "EZAK EZTK", rf"{_A}{{50,}}"),
    _format("Facebook", "EAACEdEose0cBA EAAB EAAG", rf"{_A}{{60,}}"),
    _format("Figma", "figd_ figu_ figo_", rf"{_W}{{36,}}"),
    _format("Flutterwave", "FLWSECK_TEST- FLWSECK-", rf"{_A}{{12,}}"),
    _format("Fly.io", "fm2_ fm1r_ fm1a_ fo1_", r"[\w+/=-]{40,}"),
    _format("Frame.io", "fio-u-", r"[\w=-]{60,}"),
    _format("GitHub", "ghp_ gho_ ghu_ ghs_ ghr_", rf"{_A}{{30,}}"),
    _format("GitHub, fine-grained", "github_pat_", r"\w{30,}"),
    _format(
        "GitLab",
        "glpat- gldt- glrt- glcbt- glptt- glsoat- glft- glffct- glagent- glimt- glwt- gloas- GR1348941",
        r"[\w.-]{20,}",
    ),
    _format("Google", "AIza GOCSPX- ya29. 1//0", r"[\w.-]{24,}"),
    _format("Grafana", "glsa_ glc_", r"[\w+/=]{30,}"),
    _format("Groq, Hugging Face, Replicate", "gsk_ hf_ api_org_ r8_", rf"{_A}{{30,}}"),
    _format("HashiCorp Vault", "hvs. hvb. hvr.", rf"{_W}{{24,}}"),
    _format("HashiCorp Vault, older", "s.", rf"{_DIGIT}{_A}{{24}}"),
    _format("Heroku", "HRKU-", rf"{_W}{{16,}}"),
    _format("Intercom, Lob", "dG9rOj test_ live_", rf"(?:{_A}{{40,}}={{0,2}}|{_H}{{35}})"),
    _format("JFrog", "cmVmdGtu", rf"{_A}{{50,}}"),
    _format("LangSmith", "lsv2_pt_ lsv2_sk_ ls__", rf"{_H}{{24,}}(?:_{_H}+)?"),
    _format("Linear, Notion", "lin_api_ lin_oauth_ ntn_ secret_", rf"{_DIGIT}{_A}{{30,}}"),
    _format("Mailgun", "key- pubkey-", rf"{_H}{{32}}"),
    _format("Mapbox", "sk.eyJ pk.eyJ tk.eyJ", rf"{_W}{{30,}}\.{_W}{{16,}}"),
    _format("Netlify", "nfp_ nfc_ nfo_", rf"{_A}{{30,}}"),
    _format("New Relic", "NRAK- NRJS- NRAA- NRII- NRIQ- NRRA-", rf"{_W}{{16,}}"),
    _format("npm", "npm_", rf"{_A}{{30,}}"),
    _format("NuGet", "oy2", rf"{_DIGIT}[a-z0-9]{{43}}"),
    _format("Okta", "00", rf"(?=[\w-]*[A-Z])(?=[\w-]*[a-z]){_W}{{40}}"),
    _format(
        "OpenAI, Anthropic and the like",
        "sk-",
        rf"(?!{_CSS_CLASS})(?:[a-z0-9]{{2,12}}-){{0,4}}(?=[A-Za-z_-]{{0,64}}\d){_W}{{20,}}",
    ),
    _format("PEM in base64", "LS0tLS1CRUdJTi", r"(?!BD|BQVU|BQR1AgUFVC|BTU0gy|BUUl|BYNT)[A-Za-z0-9+/=]{16,}"),
    _format("Perplexity, xAI", "pplx- xai-", rf"{_A}{{40,}}"),
    _format("Pinecone", "pcsk_", r"\w{40,}"),
    _format("PlanetScale", "pscale_tkn_ pscale_pw_ pscale_oauth_", r"[\w.=-]{30,}"),
    _format("PostHog", "phx_ phs_", rf"{_W}{{40,}}"),
    _format("Postman", "PMAK-", rf"{_H}{{24}}-{_H}{{30,}}"),
    _format("Prefect, Pulumi", "pnu_ pnb_ pul-", rf"{_A}{{36,}}"),
    _format("PyPI", "pypi-", rf"{_W}{{40,}}"),
    _format("Razorpay", "rzp_live_ rzp_test_", rf"{_A}{{14,}}"),
    _format("ReadMe, Resend", "rdme_ re_", rf"(?:[a-z0-9]{{60,}}|{_DIGIT}{_A}{{8}}_{_A}{{20,}}|{_A}{{60,}})"),
    _format("RubyGems", "rubygems_", rf"{_H}{{40,}}"),
    _format("SendGrid", "SG.", rf"{_W}{{16,}}\.{_W}{{16,}}"),
    _format("Sentry", "sntrys_eyJ sntryu_", r"[\w+/=-]{40,}"),
    _format("Shippo", "shippo_live_ shippo_test_", rf"{_H}{{40}}"),
    _format("Shopify", "shpat_ shpca_ shppa_ shpss_", rf"(?i:{_H}){{32}}"),
    _format("Slack", "xoxa- xoxb- xoxe- xoxo- xoxp- xoxr- xoxs- xoxc- xoxd- xoxe. xapp-", r"[\w.%-]{10,}"),
    _format("Snyk", "snyk_uat. snyk_sat.", r"[\w.-]{30,}"),
    _format("SonarQube", "squ_ sqp_ sqa_", rf"{_H}{{40}}"),
    _format("Square", "sq0atp- sq0csp- sq0idp- EAAA", rf"(?!AAA){_DIGIT}{_W}{{22,}}"),
    _format("Stripe", "sk_live_ sk_test_ rk_live_ rk_test_ pk_live_prv_", rf"{_A}{{16,}}"),
    _format("Stripe, Svix", "whsec_", r"[A-Za-z0-9+/=]{20,}"),
    _format("Supabase", "sbp_ sb_secret_", rf"{_W}{{20,}}"),
    _format("Tailscale", "tskey-", rf"{_W}{{20,}}"),
    _format("Telegram", "bot", rf"\d{{8,10}}:AA{_W}{{32,}}"),
    _format("Twilio", "SK", rf"{_H}{{32}}"),
    _format("Typeform", "tfp_", rf"{_W}{{40,}}"),
    _format("Vercel, Val Town", "vck_ vcp_ vci_ vtwn_ vercel_blob_rw_", rf"{_W}{{24,}}"),
)
"""Formats with a distinctive prefix."""

_MIDDLES = (  # a string in the middle of a token, and the pattern that is searched if the text contains it
    (":AA", re.compile(rf"(?<!\d)\d{{8,10}}:AA{_W}{{32,}}")),  # Telegram
    ("8Q~", re.compile(r"(?<![\w~.-])[\w~.-]{3}8Q~[\w~.-]{30,}")),  # Microsoft Entra
    (".atlasv1.", re.compile(rf"(?<!\w){_A}{{14}}\.atlasv1\.{_W}{{60,}}")),  # HCP Terraform
    ("-us", re.compile(rf"(?<!\w){_H}{{32}}-us\d{{1,2}}(?!\w)")),  # Mailchimp
    (".G", re.compile(rf"(?<![\w-])[MNO]{_W}{{23,27}}\.G{_W}{{5}}\.{_W}{{27,}}")),  # Discord
    ("AC", re.compile(rf"(?<=AC[0-9a-f]{{32}}:){_H}{{32}}(?!\w)")),  # Twilio
)
_BY_PREFIX = {prefix: form for form in FORMATS for prefix in form.prefixes}


def _any_prefix() -> str:
    """Return a pattern of all prefixes, longer ones first, grouped by first character, which is faster."""
    by_first: dict[str, list[str]] = {}
    for prefix in sorted(_BY_PREFIX, key=lambda prefix: (-len(prefix), prefix)):
        by_first.setdefault(prefix[0], []).append(re.escape(prefix[1:]))
    return "|".join(f"{re.escape(first)}(?:{'|'.join(rest)})" for first, rest in sorted(by_first.items()))


_PREFIX = re.compile(rf"(?<![A-Za-z0-9_])({_any_prefix()})|[A-Za-z0-9_]++")
"""A prefix as group 1, or the rest of a word, in which none begins."""
_IN_ROW = bytes(
    ord("x") if chr(byte).isascii() and (chr(byte).isalnum() or byte in b"-_") else 32 for byte in range(256)
)
_AROUND = bytes(
    ord("h") if byte in b"0123456789abcdef-" else 120 if _IN_ROW[byte] == 120 or byte in b".:/$~+=" else 32
    for byte in range(256)
)
_ROW = b"x" * 16


def tokens(text: str, latin: bytes) -> list[tuple[int, int]]:
    """Return where tokens begin and end; `latin` is the text in Latin-1, with ? for other characters."""
    row = latin.translate(_IN_ROW)
    if _ROW not in row:
        return []
    around = latin.translate(_AROUND)
    spans = [
        (prefix.start(), rest.end())
        for start, end in _rows(row, around)
        if around.count(b"h", start, end) < end - start  # not a digest or a UUID, which has none of the prefixes
        for prefix in _PREFIX.finditer(text, start, end)
        if prefix[1] and (rest := _BY_PREFIX[prefix[1]].rest.match(text, prefix.end()))
    ]
    for middle, pattern in _MIDDLES:
        if middle in text:
            spans += [match.span() for match in pattern.finditer(text)]
    return spans


def _rows(row: bytes, around: bytes) -> Iterator[tuple[int, int]]:
    """Yield rows of 16 or more letters, digits, - and _, extended to the left by other characters of tokens."""
    done = 0
    position = row.find(_ROW)
    while position >= 0:
        end = row.find(b" ", position)
        end = len(row) if end < 0 else end
        yield max(done, around.rfind(b" ", done, position) + 1), end
        done = end
        position = row.find(_ROW, end)
