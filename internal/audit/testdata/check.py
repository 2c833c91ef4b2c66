"""Checks an export of the audit log by docs/audit.md, RFC 9162 and c2sp.org/signed-note alone. Nothing of Carepost is in it.

usage: check.py EXPORT KEY [HEAD…]   exit 0: it proves itself; 1: it does not, and says where
"""
import base64
import hashlib
import json
import os
import subprocess
import sys
import tempfile


def fail(text):
    print(text)
    sys.exit(1)


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def node(left, right):
    return sha(b"\x01", left, right)


def verify_note(text, key):
    """Gives (origin, size, root) of a signed head."""
    origin, keyhash, public = key.split("+", 2)
    public = base64.b64decode(public, validate=True)
    if public[0] != 1 or len(public) != 33 or sha(origin.encode(), b"\n", public)[:4].hex() != keyhash:
        fail("the key is malformed")
    body, _, signatures = text.partition("\n\n")
    body += "\n"
    good = False
    for line in signatures.splitlines():
        dash, name, blob = line.split(" ")
        blob = base64.b64decode(blob, validate=True)
        if dash == "\u2014" and name == origin and blob[:4].hex() == keyhash:
            good = ed25519(public[1:], body.encode(), blob[4:])
    if not good:
        fail("a head is not signed by the key")
    lines = body.split("\n")
    if lines[0] != origin:
        fail("a head is of another log")
    return int(lines[1]), base64.b64decode(lines[2], validate=True)


def ed25519(public, message, signature):
    """By OpenSSL."""
    with tempfile.TemporaryDirectory() as d:
        names = {}
        der = bytes.fromhex("302a300506032b6570032100") + public
        for name, content in {"key": der, "message": message, "signature": signature}.items():
            names[name] = os.path.join(d, name)
            with open(names[name], "wb") as f:
                f.write(content)
        return subprocess.run(
            ["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", names["key"], "-rawin",
             "-in", names["message"], "-sigfile", names["signature"]], capture_output=True).returncode == 0


def root_of(leaves):
    """RFC 9162 2.1.1, by the definition."""
    if not leaves:
        return sha()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return node(root_of(leaves[:k]), root_of(leaves[k:]))


def included(leaf, index, size, proof, root):
    """RFC 9162 2.1.3.2."""
    if index >= size:
        return False
    fn, sn, r = index, size - 1, leaf
    for p in proof:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            r = node(p, r)
            while not fn & 1 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = node(r, p)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and r == root


def consistent(first, first_root, second, second_root, proof):
    """RFC 9162 2.1.4.2."""
    if first == second:
        return not proof and first_root == second_root
    proof = list(proof)
    if first & (first - 1) == 0:
        proof.insert(0, first_root)
    if not proof:
        return False
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = proof[0]
    for c in proof[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = node(c, fr), node(c, sr)
            while not fn & 1 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node(sr, c)
        fn, sn = fn >> 1, sn >> 1
    return fr == first_root and sr == second_root and sn == 0


def check_entry(e):
    """Gives the leaf of an entry that is what it says."""
    where = f"entry {e['seq']}"
    last = e["sum"] if "sum" in e else e.get("detail")
    form = 2 if "sum" in e else 1
    if last is not None:
        array = [form, e["id"], e["at"], e["node"], e["actor"], e["action"], e["object"], last]
        text = json.dumps(array, separators=(",", ":"), ensure_ascii=False)
        text = text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
        if sha(text.encode()).hex() != e["digest"]:
            fail(where + " is not what its digest says")
    if "sum" in e and "detail" in e and sha(e["detail"].encode()).hex() != e["sum"]:
        fail(where + " has another detail")
    if e["state"] == "broken":
        fail(where + " says itself that it is broken")
    return sha(b"\x00", bytes.fromhex(e["digest"]))


def main(export, key, *kept):
    with open(export, encoding="utf-8") as f:
        lines = [json.loads(line) for line in f]
    head, end = lines[0], lines[-1]
    if head["type"] != "log" or end["type"] != "end":
        fail("the export is cut")
    if head["key"] != key:
        fail("the log has another key")
    size, root = verify_note(head["head"], key)
    leaves, n, place = [], 0, 0
    heads = []
    for line in lines[1:-1]:
        if line["type"] == "head":
            heads.append((line["head"], [base64.b64decode(p) for p in line["proof"]]))
            continue
        if line["type"] != "entry" or line["seq"] <= place:
            fail("a line out of order")
        place = line["seq"]
        n += 1
        leaf = check_entry(line)
        if head["whole"]:
            if place != len(leaves) + 1:
                fail(f"entry {len(leaves) + 1} is missing")
            leaves.append(leaf)
        elif not included(leaf, place - 1, size, [base64.b64decode(p) for p in line.get("proof", [])], root):
            fail(f"entry {place} is not in the log")
    if n != end["entries"]:
        fail("entries are missing")
    if head["whole"] and (len(leaves) != size or root_of(leaves) != root):
        fail("the entries are not those of the head")
    for note, proof in heads:
        old, old_root = verify_note(note, key)
        if not consistent(old, old_root, size, root, proof):
            fail(f"the log does not go on from its head of {old} entries")
    for name in kept:
        with open(name, encoding="utf-8") as f:
            old, old_root = verify_note(f.read(), key)
        if old > size or head["whole"] and root_of(leaves[:old]) != old_root:
            fail(f"the log does not go on from the head kept elsewhere, of {old} entries")
    print(f"{n} entries, {len(heads)} heads")


if __name__ == "__main__":
    main(*sys.argv[1:])
