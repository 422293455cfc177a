"""Decides whether a name is that of a secret: `smtp_password`, `stripeApiKey`, `X-Auth-Token`; not `password_policy`.

The last words of a name decide: `db_password` is a password, `password_policy` is a policy. A name is split into words,
words that only distinguish versions are dropped from its end, and its last words are looked up in a table.
"""

import re
import unicodedata
from functools import lru_cache

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_MAX_NAME = 128  # characters; a longer text is not a name


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SECRETS = _words(
    """
    password passwords passwd passwrd passphrase passcode pwd pw passwort secret token jwt cvv cvc otp totp cookie
    authorization credential credentials creds psk sharedsecret
    apikey apikeys apisecret accesskey accesskeyid secretkey privatekey signingkey encryptionkey decryptionkey
    masterkey accountkey sharedkey storagekey subscriptionkey authkey sshkey licensekey deploykey servicekey keydata
    sessionkey webhookkey consumerkey appkey applicationkey hmackey aeskey rsakey cipherkey jwtkey sharedaccesskey
    functionskey rapidapikey presharedkey networkkey wepkey adminkey rootkey clientkey serverkey writekey ingestkey
    ingestionkey instrumentationkey integrationkey cryptkey cryptokey sealkey vaultkey walletkey unsealkey
    stripekey openaikey anthropickey awskey sendgridkey mailgunkey twiliokey datadogkey
    dbpass smtppass mailpass userpass ftppass mysqlpass pgpass redispass adminpass rootpass proxypass loginpass
    sshpass authpass httppass ldappass imappass vpnpass wifipass becomepass sudopass vaultpass rabbitmqpass mongopass
    requirepass rootpw bindpw bindpass keypass storepass apppass svcpass servicepass databasepass kspass tspass
    sessionid sessid phpsessid jsessionid recoverycode recoverycodes backupcode backupcodes verificationcode
    securitycode accesscode authcode authorizationcode mfacode smscode logincode onetimecode otpcode 2facode
    authenticationcode confirmationcode activationcode resetcode seedphrase recoveryphrase secretphrase mnemonic
    secretkeybase kennwort motdepasse contrasena senha wachtwoord heslo haslo losenord parola
    paroladordine matkhau sifre salasana jelszo
    cardnumber creditcard creditcardnumber ccnumber pincode
    """
)
"""Last words of the names of secrets, without separators: `access_key`, `accessKey` and `accesskey` are the same."""

ALONE = _words("auth bearer pass sid pin")
"""Words that must be the whole name: `auth`, but not `last_auth`."""

PLURALS = _words("tokens secrets")
"""Names of lists and objects, in which only members that do not look like words are secrets."""

UNMISTAKABLE = (
    *("password", "passwd", "passphrase", "apikey", "secretkey", "privatekey"),
    *("accesstoken", "authtoken", "identitytoken", "idtoken", "refreshtoken", "registrytoken", "apitoken"),
)
"""Ends of names of secrets, even within a word: `dbpassword`."""

FOREIGN = tuple(
    unicodedata.normalize("NFKD", word)
    for word in (
        *(
            "пароль",
            "пароля",
            "пароли",
            "密码",
            "密碼",
            "口令",
            "パスワード",
            "暗証番号",
            "비밀번호",
            "암호",
            "κωδικός",
        ),
        *("كلمةالمرور", "كلمةالسر", "סיסמה", "סיסמא", "hasło", "รหัสผ่าน", "पासवर्ड"),
    )
)
"""Ends of names of secrets in other alphabets, without separators."""

VERSIONS = _words(
    """
    value hash digest plain plaintext b64 base64 encoded encrypted old new current previous prod production dev test
    staging live confirm confirmation again repeat header primary secondary
    """
)
"""Last words that are ignored: `password_confirmation`, `token_old`; a hash of a password is a secret too."""

_PASSES = _words(
    "first second third last single one two multi full low high band by all test tests check checks smoke lint"
)
"""Words before `PASS` in names of environment variables that are not passwords: not that of `RCLONE_CONFIG_PASS`."""

_TOKENS_OF_TEXT = _words(
    """
    page next prev previous continuation sync resume cursor eos bos pad unk mask sep cls stop end start special max min
    first last input output prompt completion total num unexpected
    """
)
_DOUBTS = _words("has is no existing needs requires invalid missing expired wrong unexpected use with grant")
HARMLESS = (
    frozenset(f"{owner}token" for owner in _TOKENS_OF_TEXT)
    | frozenset(
        doubt + what
        for doubt in _DOUBTS
        for what in ("password", "token", "secret", "cookie", "authorization", "credentials")
    )
    | {"forgotpassword", "cookieauthorization"}
)
"""Ends of names that are not secrets: `nextPageToken`, `eos_token`, `has_password`."""


def plain(name: str) -> str:
    """Return a name in lower case without separators."""
    return "".join(filter(str.isalnum, name.lower()))


@lru_cache(maxsize=8192)
def is_secret_name(name: str) -> bool:
    """Whether a name is that of a secret."""
    if len(name) > _MAX_NAME:
        return False
    if not name.isascii():
        letters = unicodedata.normalize("NFKD", name)
        name = "".join(letter for letter in letters if not unicodedata.combining(letter)).replace("ı", "i")
        if not name.isascii():
            return "".join(letters.lower().split()).replace("_", "").endswith(FOREIGN)
    words = [word.lower() for word in _WORD.findall(name)]
    if not words or name.count(" ") > 3:
        return False
    while len(words) > 1 and (words[-1] in VERSIONS or words[-1].isdigit()):
        words.pop()
    if len(words) == 1 and words[0] in ALONE:
        return True
    if "".join(words[-2:]) in HARMLESS:
        return False
    is_variable = words[-1] == "pass" and name.isupper() and words[-2] not in _PASSES
    return is_variable or words[-1].endswith(UNMISTAKABLE) or any("".join(words[-n:]) in SECRETS for n in (1, 2, 3))


@lru_cache(maxsize=1024)
def is_secret_list_name(name: str) -> bool:
    """Whether a list or object with this name has secrets among other strings: `refreshTokens`, not `maxTokens`."""
    words = [word.lower() for word in _WORD.findall(name[:_MAX_NAME])]
    return bool(words) and words[-1] in PLURALS and "".join(words[-2:]).removesuffix("s") not in HARMLESS
