"""Whether a name announces a secret: `smtp_password`, `stripeApiKey`, `X-Auth-Token`; not `password_policy`.

One rule: the last words of a name say what it is. `db_password` is a password, `password_policy` is a policy. So a name
is split into words, what only tells versions apart is dropped from its end, and its end is looked up in a table.
"""

import re
from functools import lru_cache

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_MAX_NAME = 128  # characters; what is longer is no name


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SECRETS = _words(
    """
    password passwords passwd passphrase passcode pwd secret token jwt cvv cvc otp cookie authorization
    credential credentials creds
    apikey apikeys apisecret accesskey accesskeyid secretkey privatekey signingkey encryptionkey decryptionkey
    masterkey accountkey sharedkey storagekey subscriptionkey authkey sshkey licensekey deploykey servicekey
    sessionkey webhookkey consumerkey appkey applicationkey hmackey aeskey rsakey cipherkey jwtkey
    stripekey openaikey anthropickey awskey sendgridkey mailgunkey twiliokey datadogkey
    dbpass smtppass mailpass userpass ftppass mysqlpass pgpass redispass adminpass rootpass proxypass loginpass
    sessionid recoverycode recoverycodes backupcode backupcodes seedphrase
    secretkeybase passwort kennwort motdepasse contrasena senha
    cardnumber creditcard creditcardnumber ccnumber
    """
)
"""The ends of names that say secret, without separators: `access_key`, `accessKey` and `accesskey` are one."""

ALONE = _words("auth bearer pass sid")
"""Words that say so only when they are the whole name: `auth`, but not `last_auth`."""

UNMISTAKABLE = ("password", "passwd", "passphrase", "apikey", "accesstoken", "authtoken", "secretkey", "privatekey")
"""Ends that say so even when a name is not split: `dbpassword`."""

VERSIONS = _words(
    """
    value hash digest plain plaintext b64 base64 encoded encrypted old new current previous prod production dev test
    staging live confirm confirmation again repeat header primary secondary
    """
)
"""Last words that change nothing: `password_confirmation`, `token_old`; a hash of a password can be guessed, too."""

_TOKENS_OF_TEXT = _words(
    """
    page next prev previous continuation sync resume cursor eos bos pad unk mask sep cls stop end start special max min
    first last input output prompt num
    """
)
_DOUBTS = _words("has is no needs requires invalid missing expired wrong unexpected")
HARMLESS = (
    frozenset(f"{owner}token" for owner in _TOKENS_OF_TEXT)
    | frozenset(
        doubt + what
        for doubt in _DOUBTS
        for what in ("password", "token", "secret", "cookie", "authorization", "credentials")
    )
    | {"forgotpassword", "cookieauthorization"}
)
"""Ends that only look so: `nextPageToken`, `eos_token`, `has_password`."""


def plain(name: str) -> str:
    """A name in lower case and without separators."""
    return "".join(_WORD.findall(name)).lower()


@lru_cache(maxsize=8192)
def says_secret(name: str) -> bool:
    """Whether a name announces a secret."""
    if len(name) > _MAX_NAME or not name.isascii():
        return False
    words = [word.lower() for word in _WORD.findall(name)]
    if not words or name.count(" ") > 3:
        return False
    while len(words) > 1 and (words[-1] in VERSIONS or words[-1].isdigit()):
        words.pop()
    if len(words) == 1 and words[0] in ALONE:
        return True
    if "".join(words[-2:]) in HARMLESS:
        return False
    return words[-1].endswith(UNMISTAKABLE) or any("".join(words[-n:]) in SECRETS for n in (1, 2, 3))
