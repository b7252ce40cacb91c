"""The checks of python.t: the vectors, then a running service. Prints TAP; from the
environment SRC, NATS_URL, HSM_IDENTITY and W, where the users' seeds are."""
import hashlib
import json
import os
import struct
import time
from collections import Counter
from base64 import b64decode, b64encode

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key, \
    load_pem_public_key

import signbox as sb

W, URL, IDENTITY = os.environ['W'], os.environ['NATS_URL'], os.environ['HSM_IDENTITY']
done = 0


# ---- TAP ----

def ok(name, good, note=''):
    global done
    done += 1
    print(f'{"ok" if good else "not ok"} {done} - {name}')
    if not good and note:
        print(f'# {note}')


def eq(name, got, wanted):
    ok(name, got == wanted, f'got {got!r}, expected {wanted!r}')


def fails(error, name, f, *a, kind=sb.SignboxError, **k):
    """f is answered with this error: in the session, or as a refusal (kind) outside"""
    try:
        got = f'no error but {f(*a, **k)!r}'
    except (sb.SignboxError, sb.NatsError) as e:
        got = f'{type(e).__name__} {getattr(e, "name", e)}'
        if type(e) is kind and e.name == error:
            got = None
    ok(f'{name}: {error}', got is None, got)


# ---- public keys of the protocol, by `cryptography` ----

def public_key(kind, public):
    """kind as in mode.def, public as in key_info"""
    if kind == 'ED25519':
        return Ed25519PublicKey.from_public_bytes(public)
    if kind == 'P256':
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public)
    # the only big-endian integers are inside of the strings
    r = sb.unpack(public, 'n:str16 e:str16')
    return rsa.RSAPublicNumbers(int.from_bytes(r['e'], 'big'), int.from_bytes(r['n'], 'big')).public_key()


def verifies(key, mode, signature, data):
    """mode as in mode.def; signature as in a session"""
    form, *rest = mode.split('_')
    try:
        if form == 'EDDSA':
            key.verify(signature, data)
            return True
        digest = getattr(hashes, rest[0])()
        how = Prehashed(digest) if rest[1:] == ['DIGEST'] else digest
        if form == 'ECDSA':
            r, s = (int.from_bytes(signature[i:i + 32], 'big') for i in (0, 32))
            key.verify(encode_dss_signature(r, s), data, ec.ECDSA(how))
            return len(signature) == 64
        pad = padding.PKCS1v15() if form == 'PKCS1' else \
            padding.PSS(padding.MGF1(digest), salt_length=digest.digest_size)
        key.verify(signature, data, pad, how)
        return True
    except InvalidSignature:
        return False


def signed_part(mode, message):
    """What goes into the body of `sign`"""
    if not mode.endswith('DIGEST'):
        return message
    return hashlib.new(mode.split('_')[1].lower(), message).digest()


def name_in_table(text):
    return text.upper().replace('-', '_')


# ---- vectors ----

def vectors(name):
    with open(os.path.join(sb.SRC, 'tests/vectors', name), encoding='utf-8') as f:
        return json.load(f)


def raw(public):
    return public.public_bytes(Encoding.Raw, PublicFormat.Raw)


def x25519(text):
    return X25519PrivateKey.from_private_bytes(bytes.fromhex(text))


def check_noise():
    for v in vectors('noise_ik.json')['vectors']:
        me = v['initiator']
        n = sb.NoiseIK(bytes.fromhex(v['prologue']), x25519(me['static']),
                       bytes.fromhex(v['responder']['public']), x25519(me['ephemeral']))
        pairs = [(bytes.fromhex(m['payload']), bytes.fromhex(m['ciphertext'])) for m in v['messages']]
        eq(f'noise {v["collection"]}: first message', n.write(pairs[0][0]), pairs[0][1])
        eq(f'noise {v["collection"]}: second message', n.read(pairs[1][1]), pairs[1][0])
        keys = n.split()
        got = [sb.ChaCha20Poly1305(keys[i % 2]).encrypt(sb.nonce(i // 2), pairs[i + 2][0], b'')
               for i in range(len(pairs) - 2)]
        eq(f'noise {v["collection"]}: {len(got)} transport messages', got, [c for _, c in pairs[2:]])


def check_session():
    v = vectors('session.json')
    key = sb.UserKey(bytes.fromhex(v['client_seed']))
    eq('session: NKey of the client', key.public, v['client_nkey'])
    eq('session: static secret', raw(x25519(v['client_static']).public_key()).hex(), v['client_public'])
    eq('session: static secret of the seed', raw(key.static.public_key()).hex(), v['client_public'])
    eq('session: public key of the NKey', sb.curve_point(key.bytes).hex(), v['client_public'])
    eq('session: identity', sb.nkey_public('curve', v['hsm_identity']).hex(), v['hsm_public'])
    s = sb.Session(v['hsm_identity'], key, x25519(v['client_ephemeral']))
    eq('session: opening', s.opening.hex(), v['opening'])
    s.answered(bytes.fromhex(v['answer']))
    g = v['grant']
    eq('session: grant', list(s.grant.values()),
       [int(g['session']), bytes.fromhex(g['instance']), bytes.fromhex(g['boot_id']), g['epoch'], g['state'],
        g['lifetime'], g['max_message']])
    for m in v['sealed']:
        counter, plain, message = int(m['counter']), bytes.fromhex(m['plain']), bytes.fromhex(m['message'])
        if m['kind'] == 1:
            eq(f'session: request {counter}', s.seal(plain, counter), message)
        else:
            eq(f'session: reply {counter}', s.unseal(message, counter), plain)
    for r in v['refusals']:
        fails(sb.ERR_NAME[r['error']], 'session: refusal', s.unseal, bytes.fromhex(r['message']), kind=sb.Refused)


def too_long_or_short(data, spec):
    for bad in [data + b'\0'] + [data[:n] for n in range(len(data))]:
        try:
            sb.unpack(bad, spec)
            return False
        except ValueError:
            pass
    return True


def check_request():
    v = vectors('request.json')
    for r in v['requests']:
        got = sb.request(r['operation'], bytes.fromhex(r['boot_id']), r['key'], bytes.fromhex(r['body']),
                         idem=bytes.fromhex(r['idempotency_id']), user=r['user'], namespace=r['namespace'],
                         version=r['key_version'], mode=r['mode'])
        eq(f'request: {r["what"]}', got.hex(), r['bytes'])
    for r in v['responses']:
        data = bytes.fromhex(r['bytes'])
        got = sb.unpack(data, sb.RESPONSE)
        eq(f'response: {r["what"]}', [got[k] for k in ('error', 'state', 'mode', 'epoch', 'body')],
           [r['error'], r['state'], r['mode'], r['epoch'], bytes.fromhex(r['body'])])
        ok(f'response: {r["what"]}, no other length', too_long_or_short(data, sb.RESPONSE))


def check_signatures():
    for v in vectors('signatures.json')['vectors']:
        if not {'type', 'mode', 'pub', 'message', 'signature'} <= v.keys():
            continue
        key = public_key(name_in_table(v['type']), bytes.fromhex(v['pub']))
        mode, message = name_in_table(v['mode']), bytes.fromhex(v['message'])
        ok(f'signature: {v["name"]}', verifies(key, mode, bytes.fromhex(v['signature']), message))


# ---- the service ----

def check_opening(admin, alice):
    g = alice.open()
    ok('session opens', g['state'] == sb.OPERATIONAL and g['lifetime'] > 0 and g['epoch'] > 0, g)
    s = admin.state()
    eq('state: identity', sb.nkey_encode('curve', s['identity']), IDENTITY)
    eq('state: as granted', [s[k] for k in ('instance', 'boot_id', 'state', 'max_body')],
       [g[k] for k in ('instance', 'boot_id', 'state', 'max_body')])
    eq('state: users and keys', (s['users'], s['keys'], s['problem']), (2, 0, 0))
    users = {u['name']: u for u in admin.users()}
    eq('users', {n: (u['nkey'], u['role']) for n, u in users.items()},
       {'admin': (admin.key.bytes, 1), 'alice': (alice.key.bytes, 2)})
    eq('no keys at first', list(alice.keys()), [])


def mask(names):
    return sum(1 << sb.MODE[name] for name in names)


def check_generate(admin, alice):
    idem = os.urandom(16)
    first = admin.generate('first', 'ED25519', idem=idem)
    eq('key_generate', [first[k] for k in ('name', 'version', 'type', 'bits', 'modes')],
       ['first', 1, sb.TYPE['ED25519'], 256, 1 << sb.MODE['EDDSA']])
    eq('repeated: same result', admin.generate('first', 'ED25519', idem=idem), first)
    admin.session = None
    eq('repeated in another session: same result', admin.generate('first', 'ED25519', idem=idem), first)
    fails('IDEM_MISMATCH', 'other body', admin.generate, 'first', 'P256', idem=idem)
    fails('IDEM_MISMATCH', 'other key', admin.generate, 'second', 'ED25519', idem=idem)
    fails('IDEM_MISSING', 'no idempotency id', admin.generate, 'second', 'ED25519', idem=sb.ZERO_ID)
    fails('EXISTS', 'other idempotency id', admin.generate, 'first', 'ED25519')
    fails('DENIED', 'operator', alice.generate, 'second', 'ED25519')
    fails('BAD_TYPE', 'RSA of 1024 bits', admin.generate, 'second', 'RSA', 1024)
    fails('BAD_MODE', 'mode of another type', admin.generate, 'second', 'P256', modes=2)
    rsa_modes = [name for name in sb.MODE if name.startswith(('PKCS1', 'PSS'))]
    admin.generate('app.p256', 'P256', modes=mask(['ECDSA_SHA256', 'ECDSA_SHA256_DIGEST']), flags=1)
    admin.generate('rsa', 'RSA', 2048, mask(rsa_modes))
    admin.generate('default', 'RSA')
    names = ['app.p256', 'default', 'first', 'rsa']
    eq('key_list', [k['name'] for k in alice.keys()], names)
    eq('key_list in pages of one', [k['name'] for k in alice.keys(limit=1)], names)
    eq('key_list of a prefix', [k['name'] for k in alice.keys('app.')], names[:1])
    eq('default modes take a message', alice.key_info('default')['modes'],
       mask(name for name in rsa_modes if not name.endswith('DIGEST')))


def check_sign(alice):
    message, signed = b'a message', []
    for info in list(alice.keys()):
        kind, name = sb.TYPE_NAME[info['type']], info['name']
        key = public_key(kind, info['public'])
        for number in [0] + [n for n in sb.MODE_NAME if info['modes'] >> n & 1]:
            data = signed_part(sb.MODE_NAME.get(number, ''), message)
            signature = alice.sign(name, data, number)
            mode = sb.MODE_NAME[alice.mode]
            what = f'{name}: {mode if number else "default, " + mode}'
            ok(what, number in (0, alice.mode) and verifies(key, mode, signature, data), alice.mode)
            bad = bytes([signature[0] ^ 1]) + signature[1:]
            ok(f'{what}, other bytes do not verify', not verifies(key, mode, bad, data))
            ok(f'{what}, verify', alice.verify(name, data, signature, alice.mode) and
               not alice.verify(name, data, bad, alice.mode))
            signed.append((name, alice.mode, hashlib.sha256(data).digest()))
    eq('random', (len(alice.random(1)), len(alice.random(4096))), (1, 4096))
    ok('random differs', alice.random(32) != alice.random(32))
    largest = bytes(alice.session.grant['max_body'])
    eq('largest body', len(alice.sign('first', largest)), 64)
    signed.append(('first', sb.MODE['EDDSA'], hashlib.sha256(largest).digest()))
    return signed


def check_requests_refused(admin, alice):
    boot = alice.open()['boot_id']

    def send(plain):
        return alice.response(alice.exchange(plain))
    state = sb.request(sb.OP['state'], boot)
    fails('STALE_BOOT', 'boot id of another start', send, sb.request(sb.OP['sign'], bytes(16), 'first', b'x'))
    fails('BAD_REQUEST', 'trailing byte', send, state + b'\0')
    fails('BAD_REQUEST', 'missing byte', send, state[:-1])
    fails('BAD_REQUEST', 'body where there is none', send, sb.request(sb.OP['state'], boot, '', b'x'))
    fails('BAD_REQUEST', 'other credential', send, state[:1] + b'\x02' + state[2:])
    fails('BAD_VERSION', 'other version', send, b'\x02' + state[1:])
    fails('UNKNOWN_OP', 'operation 99', send, sb.request(99, boot))
    fails('BAD_NAME', 'empty part of a name', alice.sign, 'a..b', b'x')
    fails('NO_SUCH_NAMESPACE', 'namespace', alice.sign, 'first', b'x', namespace='team')
    fails('NO_SUCH_VERSION', 'version 7', alice.sign, 'first', b'x', version=7)
    eq('version 1', len(alice.sign('first', b'x', version=1)), 64)
    eq('own name as user', len(alice.sign('first', b'x', user='alice')), 64)
    fails('UNKNOWN_USER', 'name of another user', alice.sign, 'first', b'x', user='admin')
    fails('NOT_FOUND', 'no such key', alice.sign, 'nothing', b'x')
    fails('BAD_MODE', 'mode of another type', alice.sign, 'first', b'x', mode=sb.MODE['PSS_SHA256'])
    fails('BAD_LENGTH', 'digest of 31 bytes', alice.sign, 'app.p256', bytes(31),
          mode=sb.MODE['ECDSA_SHA256_DIGEST'])
    fails('BAD_SIGNATURE_FORM', 'signature of 63 bytes', alice.verify, 'first', b'x', bytes(63))
    fails('BAD_LENGTH', 'random of 4097 bytes', alice.random, 4097)
    fails('DENIED', 'administrator signs', admin.sign, 'first', b'x')
    fails('DENIED', 'operator reads the audit log', alice.audit_head)
    fails('TOO_LARGE', 'body is too large', alice.sign, 'first', bytes(alice.session.grant['max_body'] + 1))


def check_sessions_refused(admin, alice):
    grant = alice.open()
    session, instance = alice.session, grant['instance'].hex()
    state = sb.request(sb.OP['state'], grant['boot_id'])

    def send(message, counter=None, client=alice, subject=None):
        answer = client.nats.request(subject or client.subject(), message)
        plain = session.unseal(answer.data, counter)
        return client.response(plain)

    def open_with(message):
        sb.refusal(alice.nats.request(f'hsm.open.{IDENTITY}', message).data)

    def refused(error, name, *a, **k):
        fails(error, name, *a, kind=sb.Refused, **k)
    message = session.seal(state)
    ok('request', send(message))
    refused('REPLAYED', 'same counter', send, message)
    refused('REPLAYED', 'counter 0', send, session.seal(state, 0))
    ok('counters may jump', send(session.seal(state, 9000), 9000))
    ok('counter 8127 behind the highest', send(session.seal(state, 873), 873))
    refused('REPLAYED', 'counter 8128 behind the highest', send, session.seal(state, 872), 872)
    session.counter = 10000
    message = session.seal(state)
    refused('BAD_PROOF', 'changed byte', send, message[:-1] + bytes([message[-1] ^ 1]))
    ok('and its counter was not used up', send(message))
    refused('BAD_FRAME', 'kind 2', send, message[:1] + b'\x02' + message[2:])
    refused('BAD_VERSION', 'other version', send, b'\x02' + message[1:])
    refused('NO_SESSION', 'other session', send, message[:2] + bytes(8) + message[10:])
    admin.open()
    refused('NO_SESSION', "session of another user on one's own subject", send, session.seal(state), client=admin)
    alices = alice.subject()
    try:
        sb.Client(URL, admin.key, IDENTITY).nats.request(alices, session.seal(state))
        ok("the broker refuses another user's subject", False)
    except sb.NatsError as e:
        ok("the broker refuses another user's subject", 'Permissions Violation' in str(e), e)
    try:
        alice.nats.request(alices.replace(instance, '0' * 16), session.seal(state))
        ok('nobody is another instance', False)
    except sb.NoResponders:
        ok('nobody is another instance', True)
    opening = sb.Session(IDENTITY, alice.key).opening
    refused('BAD_FRAME', 'opening with a trailing byte', open_with, opening + b'\0')
    refused('BAD_VERSION', 'opening of suite 2', open_with, b'\x01\x02' + opening[2:])
    refused('BAD_PROOF', 'opening with a changed byte', open_with, opening[:-1] + bytes([opening[-1] ^ 1]))
    refused('UNKNOWN_USER', 'stranger', open_with, sb.Session(IDENTITY, sb.UserKey(os.urandom(32))).opening)
    eq('close', alice.response(alice.exchange(sb.request(sb.OP['close'], grant['boot_id']))), b'')
    refused('NO_SESSION', 'after close', send, session.seal(state))
    ok('and the client opens another', alice.state()['state'] == sb.OPERATIONAL)


def check_plain(admin, alice):
    fails('SESSION_ONLY', 'plain: user', alice.plain, 'sign.app.p256', b'x')
    admin.user_set('alice', 1)
    fails('SESSION_ONLY', 'plain: key', alice.plain, 'sign.first', b'x')
    pem = alice.plain('pub.app.p256')[0]
    key = load_pem_public_key(pem)
    eq('plain: pub', raw_point(key), alice.key_info('app.p256')['public'])
    signature, headers = alice.plain('sign.app.p256', b'x')
    eq('plain: mode', headers['Signbox-Mode'], 'ecdsa-sha256')
    key.verify(signature, b'x', ec.ECDSA(hashes.SHA256()))
    ok('plain: signature verifies', True)
    header = {'Signbox-Signature': b64encode(signature).decode()}
    eq('plain: verify', [alice.plain('verify.app.p256', m, header)[0] for m in (b'x', b'y')], [b'true', b'false'])
    digest, mode = hashlib.sha256(b'x').digest(), {'Signbox-Mode': 'ecdsa-sha256-digest'}
    key.verify(alice.plain('sign.app.p256', digest, mode)[0], b'x', ec.ECDSA(hashes.SHA256()))
    ok('plain: signature of a digest verifies', True)
    eq('plain: random', [len(alice.plain('random', n)[0]) for n in (b'', b'7')], [32, 7])

    def as_json(tail, **members):
        return json.loads(alice.plain(tail, json.dumps(members).encode() if members else b'')[0])
    j = as_json('sign-json.app.p256', message=b64encode(b'x').decode(), mode='ecdsa-sha256')
    key.verify(b64decode(j['signature']), b'x', ec.ECDSA(hashes.SHA256()))
    eq('plain: sign-json', (j['mode'], j['key']), ('ecdsa-sha256', 'app.p256'))
    eq('plain: verify-json', [as_json('verify-json.app.p256', message=b64encode(m).decode(),
                                      signature=j['signature'])['valid'] for m in (b'x', b'y')], [True, False])
    eq('plain: random-json', len(b64decode(as_json('random-json', length=9)['random'])), 9)
    j = as_json('pub-json.app.p256')
    eq('plain: pub-json', (raw_point(load_der_public_key(b64decode(j['public']))), j['pem'].encode(), j['modes']),
       (raw_point(key), pem, ['ecdsa-sha256', 'ecdsa-sha256-digest']))
    fails('NOT_FOUND', 'plain', alice.plain, 'sign.nothing', b'x')
    fails('BAD_MODE', 'plain', alice.plain, 'sign.app.p256', b'x', {'Signbox-Mode': 'pss-sha256'})
    fails('UNKNOWN_OP', 'plain', alice.plain, 'key_list')
    fails('BAD_JSON', 'plain: unknown member', as_json, 'sign-json.app.p256', message='eA==', other=1)
    m = alice.nats.request(f'hsm.as.{alice.key.public}.sign-json.nothing', b'{"message":"eA=="}')
    eq('plain: an error in JSON', (json.loads(m.data)['error']['code'], m.headers['Nats-Service-Error-Code']),
       ('NOT_FOUND', '404'))


def raw_point(key):
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def chain(entries, h, seq):
    """Where the chain stands after `seq`, from h on; entries must be in order, without a gap"""
    at = None
    for e in entries:
        n = int.from_bytes(e[:8], 'little')
        if at is not None and n != at + 1:
            return None
        at = n
        h = hashlib.sha256(h + e).digest()
        if n == seq:
            return h
    return None


def head_verifies(head):
    fields = struct.pack('<Q32sQQQ32s32s', *list(head.values())[:-1])
    try:
        Ed25519PublicKey.from_public_bytes(head['audit_key']).verify(
            head['signature'], b'\xff\0signbox\x01\x01' + fields)
        return True
    except InvalidSignature:
        return False


def check_audit(admin, signed):
    for _ in range(100):  # entries of a key with batched audit follow in a second
        head = admin.audit_head()
        raw_entries = list(admin.audit_entries(head['base_seq'] + 1, 1000))
        entries = [sb.unpack(e, sb.ENTRY) for e in raw_entries]
        missing = Counter(signed) - Counter(
            (e['key'], e['mode'], e['sha256']) for e in entries
            if (e['operation'], e['error'], e['surface']) == (sb.OP['sign'], 0, 1))
        if not missing and entries[-1]['seq'] == head['seq']:
            break
        time.sleep(0.1)
    ok('audit: signature of the head', head_verifies(head))
    ok('audit: another head does not verify', not head_verifies({**head, 'seq': head['seq'] + 1}))
    eq('audit: chain', chain(raw_entries, head['base_hash'], head['seq']), head['hash'])
    changed = raw_entries[:-1] + [raw_entries[-1][:-1] + bytes([raw_entries[-1][-1] ^ 1])]
    ok('audit: another chain does not', chain(changed, head['base_hash'], head['seq']) != head['hash'])
    eq('audit: starts behind the base', entries[0]['seq'], head['base_seq'] + 1)
    ok(f'audit: {len(signed)} signatures', not missing, missing)
    eq('audit: who made the key', [(e['user'], e['surface'], sb.OP_NAME[e['operation']]) for e in entries
                                   if e['key'] == 'first' and e['error'] == 0][0], ('admin', 1, 'key_generate'))
    ok('audit: plain signatures', any((e['user'], e['surface'], e['sha256']) ==
                                      ('alice', 2, hashlib.sha256(b'x').digest()) for e in entries))
    ok('audit: refused operations', any((e['user'], e['operation'], e['error']) ==
                                        ('alice', sb.OP['key_generate'], sb.ERR['DENIED']) for e in entries))


def check_restart(admin, alice):
    idem = os.urandom(16)
    made = admin.generate('kept', 'ED25519', idem=idem)
    epoch = admin.epochs[IDENTITY]
    admin.lock()
    s = admin.state()
    eq('locked: state and epoch', (s['state'], s['hsm_epoch']), (2, 0))
    fails('WRONG_STATE', 'locked: administrator', admin.generate, 'kept', 'ED25519', idem=idem)
    fails('WRONG_STATE', 'locked: operator is not known', alice.sign, 'kept', b'x', kind=sb.Refused)
    with open(f'{W}/passphrase', 'rb') as f:
        admin.call('unlock', body=sb.str16(f.read()))
    eq('unlocked', admin.state()['state'], sb.OPERATIONAL)
    eq('repeated after a restart: same result', admin.generate('kept', 'ED25519', idem=idem), made)
    ok('epoch goes on', admin.epochs[IDENTITY] >= epoch)
    key = public_key('ED25519', made['public'])
    ok('signs after a restart', verifies(key, 'EDDSA', alice.sign('kept', b'x'), b'x'))


def main():
    check_noise()
    check_session()
    check_request()
    check_signatures()
    admin, alice = (sb.Client(URL, sb.UserKey.load(f'{W}/{name}.nk'), IDENTITY) for name in ('admin', 'alice'))
    check_opening(admin, alice)
    check_generate(admin, alice)
    signed = check_sign(alice)
    check_plain(admin, alice)
    check_requests_refused(admin, alice)
    check_sessions_refused(admin, alice)
    check_audit(admin, signed)
    check_restart(admin, alice)
    print(f'1..{done}')


main()
