"""A client of Signbox, written from docs/PROTOCOL.md alone: an independent check of the
document and of the C code, and a start for clients in other languages. Numbers come
from the tables in src/. Needs the `cryptography` package; one request at a time."""
import base64
import collections
import hashlib
import hmac
import json
import os
import re
import secrets
import socket
import struct
import time
import urllib.parse

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

SRC = os.environ.get('SRC', os.path.join(os.path.dirname(__file__), '../../..'))
ZERO_ID = bytes(16)
LOCKED, OPERATIONAL = 2, 4
AGAIN = ('NO_SESSION', 'STALE_BOOT', 'BUSY', 'TIMEOUT', 'UNAVAILABLE', 'SHUTTING_DOWN')


# ---- the tables ----

def _table(path, macro, number_first):
    """The rows of one table as {name: number} and {number: name}"""
    with open(os.path.join(SRC, 'src', path), encoding='utf-8') as f:
        text = re.sub(r'/\*.*?\*/', '', f.read(), flags=re.S)
    rows = re.findall(rf'^{macro}\((\w+), (\w+), .*\)$', text, flags=re.M)
    if number_first:
        rows = [(name, number) for number, name in rows]
    return {name: int(n) for name, n in rows}, {int(n): name for name, n in rows}


ERR, ERR_NAME = _table('base/err.def', 'ERR', False)
OP, OP_NAME = _table('proto/op.def', 'OP', True)
MODE, MODE_NAME = _table('proto/mode.def', 'MODE', True)
TYPE, TYPE_NAME = _table('proto/mode.def', 'KEYTYPE', True)
with open(os.path.join(SRC, 'src/proto/op.def'), encoding='utf-8') as table:
    MUTATES = {name for name, flags in
               re.findall(r'^OP\(\d+, (\w+), .*, ([^,]*)\)$', table.read(), flags=re.M) if 'M' in flags}


class SignboxError(Exception):
    """The answer of the HSM to a request: authenticated (sessions), `name` as in err.def."""

    def __init__(self, number, text=''):
        self.number, self.name, self.text = number, ERR_NAME.get(number, str(number)), text
        super().__init__(f'{self.name}: {text}')


class Refused(SignboxError):
    """A refusal outside of a session: a hint, not authenticated."""


# ---- bytes ----

def str8(b):
    return struct.pack('<B', len(b)) + b


def str16(b):
    return struct.pack('<H', len(b)) + b


def str32(b):
    return struct.pack('<I', len(b)) + b


class Reader:
    """Takes a message apart; everything must be there and nothing may follow."""

    def __init__(self, data):
        self.data, self.at = bytes(data), 0

    def take(self, n):
        if self.at + n > len(self.data):
            raise ValueError('message is too short')
        self.at += n
        return self.data[self.at - n:self.at]

    def int(self, size):
        return int.from_bytes(self.take(size), 'little')

    def str(self, size):
        return self.take(self.int(size))

    def text(self):
        return self.str(1).decode('ascii')

    def end(self):
        if self.at != len(self.data):
            raise ValueError('bytes behind the end of the message')

    def fields(self, spec):
        """'name:kind …' as a dictionary; kind: u8 to u64, str8 (text), str16, str32, or a number of bytes"""
        out = {}
        for field in spec.split():
            name, kind = field.split(':')
            if kind[0] == 'u':
                out[name] = self.int(int(kind[1:]) // 8)
            elif kind == 'str8':
                out[name] = self.text()
            elif kind[0] == 's':
                out[name] = self.str(int(kind[3:]) // 8)
            else:
                out[name] = self.take(int(kind))
        return out


def unpack(data, spec):
    r = Reader(data)
    out = r.fields(spec)
    r.end()
    return out


GRANT = 'session:u64 instance:8 boot_id:16 epoch:u64 state:u8 lifetime:u32 max_body:u32'
RESPONSE = 'version:u8 error:u16 state:u8 mode:u8 epoch:u64 body:str32'
USER_INFO = 'name:str8 nkey:32 role:u8 flags:u8 created:u64'
KEY_INFO = ('namespace:str8 name:str8 version:u32 type:u8 bits:u16 modes:u32 flags:u8 audit:u8 '
            'created:u64 public:str16')
HELLO = 'identity:32 instance:8 boot_id:16 state:u8 warnings:u32 max_body:u32 problem:u16 hsm_epoch:u64'
STATE_INFO = HELLO + (' version:str8 uptime:u64 sessions:u32 users:u32 keys:u32 anchors:u8 anchors_hold:u8 '
                      'anchor_epoch:u64 unattended:u8 audit_seq:u64')
ENTRY = ('seq:u64 time:u64 surface:u8 user:str8 operation:u16 error:u16 namespace:str8 key:str8 '
         'key_version:u32 mode:u8 sha256:32')
AUDIT_HEAD = 'seq:u64 hash:32 time:u64 epoch:u64 base_seq:u64 base_hash:32 audit_key:32 signature:64'


def request(operation, boot_id, key='', body=b'', *, idem=ZERO_ID, user='', namespace='', version=0, mode=0):
    return b''.join([struct.pack('<BBH', 1, 1, operation), str8(user.encode()), boot_id, idem,
                     str8(namespace.encode()), str8(key.encode()), struct.pack('<IB', version, mode),
                     str32(body)])


# ---- NKeys ----

PREFIX = {'user': 20 << 3, 'curve': 23 << 3, 'seed': 18 << 3}


def crc16(data):
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ (0x1021 if crc & 0x8000 else 0)) & 0xffff
    return crc


def nkey_encode(kind, public):
    raw = bytes([PREFIX[kind]]) + public
    return base64.b32encode(raw + struct.pack('<H', crc16(raw))).decode().rstrip('=')


def nkey_bytes(text):
    raw = base64.b32decode(text + '=' * (-len(text) % 8))
    if struct.pack('<H', crc16(raw[:-2])) != raw[-2:]:
        raise ValueError('not an NKey: checksum')
    return raw[:-2]


def nkey_public(kind, text):
    raw = nkey_bytes(text)
    if raw[0] != PREFIX[kind] or len(raw) != 33:
        raise ValueError(f'not the public NKey of a {kind}')
    return raw[1:]


class UserKey:
    """A user's NKey: its text, signatures for the broker, and its X25519 form for sessions"""

    def __init__(self, seed):
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.bytes = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.public = nkey_encode('user', self.bytes)
        # X25519 clamps by itself
        self.static = X25519PrivateKey.from_private_bytes(hashlib.sha512(seed).digest()[:32])

    @classmethod
    def load(cls, path):
        with open(path, encoding='ascii') as f:
            raw = nkey_bytes(f.read().strip())
        # a seed has two prefixes, 'S' and the kind, in 5 + 8 bits and 3 bits of filling
        if raw[0] & 0xf8 != PREFIX['seed'] or (raw[0] & 7) << 5 | raw[1] >> 3 != PREFIX['user']:
            raise ValueError(f'{path}: not the seed of a user')
        return cls(raw[2:])

    def sign(self, data):
        return self._key.sign(data)


def curve_point(ed25519_public):
    """The X25519 form of an Ed25519 public key: u = (1 + y) / (1 - y)"""
    p = 2**255 - 19
    y = int.from_bytes(ed25519_public, 'little') & (2**255 - 1)
    return ((1 + y) * pow(1 - y, -1, p) % p).to_bytes(32, 'little')


# ---- NATS ----

Message = collections.namedtuple('Message', 'subject headers data')


class NatsError(Exception):
    pass


class NoResponders(NatsError):
    """Nobody listens on the subject: no HSM there, or the instance is gone"""


class Nats:
    """One connection to nats-server, by its text protocol"""

    def __init__(self, url, key, timeout=5):
        at = urllib.parse.urlparse(url)
        self._socket = socket.create_connection((at.hostname, at.port or 4222), timeout)
        self._buffer = b''
        info = json.loads(self._line().split(b' ', 1)[1])
        signature = base64.urlsafe_b64encode(key.sign(info['nonce'].encode())).decode().rstrip('=')
        options = {'verbose': False, 'pedantic': False, 'lang': 'python', 'version': '1', 'protocol': 1,
                   'headers': True, 'no_responders': True, 'nkey': key.public, 'sig': signature}
        self._inbox = f'_INBOX.{key.public}.{secrets.token_hex(11)}'
        self._count = 0
        self._send(f'CONNECT {json.dumps(options)}\r\nSUB {self._inbox}.* 1\r\nPING\r\n'.encode())
        while self._line() != b'PONG':
            pass

    def close(self):
        self._socket.close()

    def _send(self, data):
        self._socket.sendall(data)

    def _receive(self, enough):
        """What is there until enough(buffer) says how many bytes to take"""
        while not (n := enough(self._buffer)):
            data = self._socket.recv(65536)
            if not data:
                raise NatsError('connection closed')
            self._buffer += data
        out, self._buffer = self._buffer[:n], self._buffer[n:]
        return out

    def _line(self):
        line = self._receive(lambda b: b.find(b'\r\n') + 2 if b'\r\n' in b else 0)[:-2]
        if line.startswith(b'-ERR'):
            raise NatsError(line[5:].decode())
        if line == b'PING':
            self._send(b'PONG\r\n')
        return line

    def _message(self):
        while True:
            words = self._line().split(b' ')
            if words[0] in (b'MSG', b'HMSG'):
                break
        length = int(words[-1]) + 2
        whole = self._receive(lambda b: length if len(b) >= length else 0)[:-2]
        size = int(words[-2]) if words[0] == b'HMSG' else 0
        headers = {}
        for line in whole[:size].decode().split('\r\n'):
            if line.startswith('NATS/1.0 '):
                headers['Status'] = line[9:12]
            elif ':' in line:
                name, value = line.split(':', 1)
                headers[name] = value.strip()
        return Message(words[1].decode(), headers, whole[size:])

    def publish(self, subject, data, reply='', headers=None):
        head = ''
        if headers:
            head = 'NATS/1.0\r\n' + ''.join(f'{k}: {v}\r\n' for k, v in headers.items()) + '\r\n'
        verb, sizes = ('HPUB', f'{len(head)} {len(head) + len(data)}') if head else ('PUB', str(len(data)))
        self._send(f'{verb} {subject} {reply} {sizes}\r\n{head}'.encode() + data + b'\r\n')

    def request(self, subject, data=b'', headers=None):
        self._count += 1
        inbox = f'{self._inbox}.{self._count}'
        self.publish(subject, data, inbox, headers)
        while (message := self._message()).subject != inbox:
            pass  # the late answer to an earlier request
        if message.headers.get('Status') == '503':
            raise NoResponders(subject)
        return message


# ---- Noise ----

class NoiseIK:
    """The initiator of Noise_IK_25519_ChaChaPoly_SHA256"""

    def __init__(self, prologue, static, remote, ephemeral=None):
        self.s, self.e, self.rs = static, ephemeral or X25519PrivateKey.generate(), remote
        self.h = self.ck = b'Noise_IK_25519_ChaChaPoly_SHA256'
        self.k = self.n = None
        self._hash(prologue)
        self._hash(remote)

    def _hash(self, data):
        self.h = hashlib.sha256(self.h + data).digest()

    def _hkdf(self, secret):
        t = hmac.digest(self.ck, secret, 'sha256')
        first = hmac.digest(t, b'\x01', 'sha256')
        return first, hmac.digest(t, first + b'\x02', 'sha256')

    def _key(self, private, public):
        self.ck, self.k = self._hkdf(private.exchange(X25519PublicKey.from_public_bytes(public)))
        self.n = 0

    def _encrypt(self, plain):
        out = ChaCha20Poly1305(self.k).encrypt(nonce(self.n), plain, self.h)
        self.n += 1
        self._hash(out)
        return out

    def _decrypt(self, data):
        out = ChaCha20Poly1305(self.k).decrypt(nonce(self.n), data, self.h)
        self.n += 1
        self._hash(data)
        return out

    def write(self, payload=b''):
        """-> e, es, s, ss"""
        e = self.e.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self._hash(e)
        self._key(self.e, self.rs)
        s = self._encrypt(self.s.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
        self._key(self.s, self.rs)
        return e + s + self._encrypt(payload)

    def read(self, message):
        """<- e, ee, se"""
        e = message[:32]
        self._hash(e)
        self._key(self.e, e)
        self._key(self.s, e)
        return self._decrypt(message[32:])

    def split(self):
        return self._hkdf(b'')


def nonce(counter):
    return bytes(4) + struct.pack('<Q', counter)


# ---- sessions ----

def refusal(message):
    if len(message) >= 4 and message[:2] == b'\x01\xff':
        raise Refused(int.from_bytes(message[2:4], 'little'), message[4:].decode('utf-8', 'replace'))


class Session:
    """An opened session: seals requests, opens replies"""

    def __init__(self, identity, key, ephemeral=None):
        self._noise = NoiseIK(b'signbox\x01\x01', key.static, nkey_public('curve', identity), ephemeral)
        self.opening = b'\x01\x01' + self._noise.write()
        self.counter = 0

    def answered(self, message):
        refusal(message)
        if message[:2] != b'\x01\x01':
            raise ValueError('unknown version or suite')
        self.grant = unpack(self._noise.read(message[2:]), GRANT)
        self.id = self.grant['session']
        self._send, self._receive = self._noise.split()
        del self._noise

    def _head(self, kind, counter):
        return struct.pack('<BBQQ', 1, kind, self.id, counter)

    def seal(self, plain, counter=None):
        if counter is None:
            counter = self.counter = self.counter + 1
        head = self._head(1, counter)
        return head + ChaCha20Poly1305(self._send).encrypt(nonce(counter), plain, head)

    def unseal(self, message, counter=None):
        refusal(message)
        counter = self.counter if counter is None else counter
        head = self._head(2, counter)
        if message[:18] != head:
            raise ValueError('not the reply to this request')
        return ChaCha20Poly1305(self._receive).decrypt(nonce(counter), message[18:], head)


class Client:
    """Requests of one user to one HSM"""
    epochs = {}  # the highest of each identity

    def __init__(self, url, key, identity, patience=90):
        self.key, self.identity = key, identity
        self.nats = Nats(url, key)
        self.patience = patience  # seconds until an operation is given up
        self.session = None
        self.mode = 0  # of the last signature

    def open(self):
        session = Session(self.identity, self.key)
        session.answered(self.nats.request(f'hsm.open.{self.identity}', session.opening).data)
        self._epoch(session.grant)
        self.session = session
        return session.grant

    def _epoch(self, answer):
        if answer['state'] != OPERATIONAL:
            return  # it cannot read its store, and says 0
        epoch = answer['epoch']
        if epoch < self.epochs.get(self.identity, 0):
            raise SignboxError(ERR['EPOCH_BACK'])
        self.epochs[self.identity] = epoch

    def subject(self):
        return f'hsm.i.{self.session.grant["instance"].hex()}.{self.key.public}'

    def exchange(self, plain):
        """One sealed request as it is, and the plain text of its reply"""
        return self.session.unseal(self.nats.request(self.subject(), self.session.seal(plain)).data)

    def response(self, data):
        r = unpack(data, RESPONSE)
        self._epoch(r)
        if r['error']:
            raise SignboxError(r['error'], r['body'].decode())
        self.mode = r['mode']
        return r['body']

    def call(self, operation, key='', body=b'', idem=None, **fields):
        """One operation; a session is opened when there is none, or none any more. Retries have
        the same idempotency id, so that what mutates is done once."""
        if idem is None:
            idem = secrets.token_bytes(16) if operation in MUTATES else ZERO_ID
        until = time.monotonic() + self.patience
        while True:
            try:
                if not self.session:
                    self.open()
                return self.response(self.exchange(
                    request(OP[operation], self.session.grant['boot_id'], key, body, idem=idem, **fields)))
            except (SignboxError, NoResponders, TimeoutError) as e:
                final = isinstance(e, SignboxError) and e.name not in AGAIN
                # a refused request is a hint that the session ended, a refused opening is not
                if final and not (isinstance(e, Refused) and self.session) or time.monotonic() > until:
                    raise
                self.session = None
                time.sleep(0.2)

    def state(self):
        return unpack(self.call('state'), STATE_INFO)

    def lock(self):
        # the service ends with its answer: a try after a lost one finds it locked
        try:
            self.call('lock')
        except SignboxError as e:
            if e.name != 'WRONG_STATE' or self.state()['state'] != LOCKED:
                raise

    def list(self, operation, spec, prefix='', limit=200):
        after, more = '', 1
        while more:
            r = Reader(self.call(operation, body=str8(prefix.encode()) + str8(after.encode()) +
                                 struct.pack('<H', limit)))
            more = r.int(1)
            for _ in range(r.int(2)):
                item = r.fields(spec)
                after = item['name']
                yield item
            r.end()

    def keys(self, prefix='', limit=200):
        return self.list('key_list', KEY_INFO, prefix, limit)

    def users(self, prefix='', limit=200):
        return self.list('user_list', USER_INFO, prefix, limit)

    def user_set(self, name, flags):
        self.call('user_set', body=str8(name.encode()) + bytes([flags]))

    def generate(self, name, kind, bits=0, modes=0, flags=0, audit=0, idem=None):
        body = struct.pack('<BHIBB', TYPE[kind], bits, modes, flags, audit) + 3 * str16(b'')
        return unpack(self.call('key_generate', name, body, idem), KEY_INFO)

    def key_info(self, name):
        return unpack(self.call('key_get', name), KEY_INFO)

    def sign(self, key, message, mode=0, **fields):
        return self.call('sign', key, message, mode=mode, **fields)

    def verify(self, key, message, signature, mode=0):
        try:
            self.call('verify', key, str16(signature) + str32(message), mode=mode)
        except SignboxError as e:
            if e.name != 'NOT_VERIFIED':
                raise
            return False
        return True

    def random(self, n):
        return self.call('random', body=struct.pack('<H', n))

    def audit_head(self):
        return unpack(self.call('audit_head'), AUDIT_HEAD)

    def audit_entries(self, first, size=32768):
        """Raw entries from the segment of `first` to the end of the log"""
        more = 1
        while more:
            r = Reader(self.call('audit_read', body=struct.pack('<QI', first, size)))
            more = r.int(1)
            n = r.int(2)
            for _ in range(n):
                entry = r.str(2)
                first = int.from_bytes(entry[:8], 'little') + 1
                yield entry
            r.end()
            if not n:
                return

    def plain(self, tail, body=b'', headers=None):
        """The plain surface: data and headers of the answer, or its error raised"""
        m = self.nats.request(f'hsm.as.{self.key.public}.{tail}', body, headers)
        if 'Signbox-Error' in m.headers:
            raise SignboxError(ERR[m.headers['Signbox-Error']], m.headers['Nats-Service-Error'])
        return m.data, m.headers
