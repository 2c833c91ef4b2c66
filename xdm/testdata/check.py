# An independent check of an IHE XDM package, written from the rules alone: names and folders, limited metadata, size, SHA-1 and URI of each
# document, the author and the recipients by their Direct addresses. It prints what is wrong, and nothing where all is well.
# Usage: check.py PACKAGE AUTHOR [RECIPIENT…]
import hashlib, re, sys, zipfile
import xml.etree.ElementTree as ET

RIM = '{urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0}'
ORDER = ['Slot', 'Name', 'Description', 'VersionInfo', 'Classification', 'ExternalIdentifier']
wrong = []


def want(claim, *words):
    if not claim:
        wrong.append(' '.join(str(w) for w in words))


def slot(e, name):
    return [v.text for s in e.findall(RIM + 'Slot') if s.get('name') == name for v in s.iter(RIM + 'Value')]


def classified(e, scheme):
    return [c for c in e.findall(RIM + 'Classification') if c.get('classificationScheme') == 'urn:uuid:' + scheme]


def node(e, node):
    return any(c.get('classificationNode') == 'urn:uuid:' + node for c in e.findall(RIM + 'Classification'))


def identifier(e, scheme):
    return [x.get('value') for x in e.findall(RIM + 'ExternalIdentifier') if x.get('identificationScheme') == 'urn:uuid:' + scheme]


def telecom(e, scheme):
    return [v for c in classified(e, scheme) for v in slot(c, 'authorTelecommunication')]


def oid(v):
    return re.fullmatch(r'[0-2](\.(0|[1-9][0-9]*))+', v or '') and len(v) <= 64


def level1(name):
    parts = name.rstrip('/').split('/')
    return len(parts) <= 8 and all(re.fullmatch(r'[A-Z0-9_]{1,8}', p) for p in parts[:-1]) and re.fullmatch(r'[A-Z0-9_]{1,8}(\.[A-Z0-9_]{1,3})?', parts[-1])


def main(path, author, *recipients):
    z = zipfile.ZipFile(path)
    want(z.testzip() is None, 'a checksum of the archive is wrong')
    names = z.namelist()
    for n in ['INDEX.HTM', 'README.TXT', 'IHE_XDM/', 'IHE_XDM/SUBSET01/', 'IHE_XDM/SUBSET01/METADATA.XML']:
        want(n in names, 'missing:', n)
    want(len(names) == len(set(n.upper() for n in names)), 'a name twice')
    for i in z.infolist():
        want(i.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED), 'compression of', i.filename)
        want(level1(i.filename), 'not ISO 9660 level 1:', i.filename)
    readme = z.read('README.TXT')
    want(readme.isascii() and b'\r\n' in readme, 'README.TXT is not ASCII with CRLF')
    page = ET.fromstring(z.read('INDEX.HTM'))
    links = [a.get('href') for a in page.iter('{http://www.w3.org/1999/xhtml}a')]

    root = ET.fromstring(z.read('IHE_XDM/SUBSET01/METADATA.XML'))
    want(root.tag == '{urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0}SubmitObjectsRequest', 'root is', root.tag)
    objects = root.find(RIM + 'RegistryObjectList')
    ids = [e.get('id') for e in root.iter() if e.get('id')]
    want(len(ids) == len(set(ids)), 'an id twice')
    for e in objects:
        kinds = [ORDER.index(k.tag.removeprefix(RIM)) for k in e]
        want(kinds == sorted(kinds), 'order of the elements in', e.get('id'))
        for c in e.findall(RIM + 'Classification'):
            want(c.get('classifiedObject') == e.get('id'), 'classifiedObject in', e.get('id'))
        for x in e.findall(RIM + 'ExternalIdentifier'):
            want(x.get('registryObject') == e.get('id') and x.find(RIM + 'Name') is not None, 'ExternalIdentifier in', e.get('id'))

    sets = objects.findall(RIM + 'RegistryPackage')
    want(len(sets) == 1, len(sets), 'submission sets')
    s = sets[0]
    want(any(c.get('classificationNode') == 'urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd' and c.get('classifiedObject') == s.get('id')
             for c in root.iter(RIM + 'Classification')), 'the package is not classified as a submission set')
    want(node(s, '5003a9db-8d8d-49e6-bf0c-990e34ac7707'), 'the submission set does not say that its metadata are limited')
    want(telecom(s, 'a7058bb9-b4e4-4307-ba5b-e3f0ab85e12d') == ['^^Internet^' + author], 'author', telecom(s, 'a7058bb9-b4e4-4307-ba5b-e3f0ab85e12d'))
    want([r.split('|')[2] for r in slot(s, 'intendedRecipient')] == ['^^Internet^' + r for r in recipients], 'recipients', slot(s, 'intendedRecipient'))
    content = classified(s, 'aa543740-bdda-424e-8c96-df4873be8500')
    want(len(content) == 1 and content[0].get('nodeRepresentation') and slot(content[0], 'codingScheme'), 'contentTypeCode')
    want(len(slot(s, 'submissionTime')) == 1 and re.fullmatch(r'\d{14}', slot(s, 'submissionTime')[0]), 'submissionTime')
    unique = identifier(s, '96fdda7c-d067-4183-912e-bf5ee74998a8')
    want(len(unique) == 1 and oid(unique[0]), 'uniqueId of the submission set')
    want(oid(identifier(s, '554ac39e-e3fe-47fe-b233-965d2a147832')[0]), 'sourceId')

    documents = objects.findall(RIM + 'ExtrinsicObject')
    want(documents, 'no documents')
    members = {a.get('targetObject') for a in objects.findall(RIM + 'Association')
               if a.get('associationType').endswith(':HasMember') and a.get('sourceObject') == s.get('id') and slot(a, 'SubmissionSetStatus') == ['Original']}
    want(members == {d.get('id') for d in documents}, 'HasMember does not name every document')
    used = set()
    for d in documents:
        where = d.get('id')
        want(d.get('objectType') == 'urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1', 'objectType of', where)
        want(re.fullmatch(r'[a-z]+/[a-z0-9.+-]+', d.get('mimeType') or ''), 'mimeType of', where)
        want(node(d, 'ab9b591b-83ab-4d03-8f5d-f93b1fb92e85'), 'limited metadata of', where)
        u = identifier(d, '2e82c1f6-a085-4c72-9da3-8640a32e42ab')
        want(len(u) == 1 and oid(u[0]) and u[0] not in unique, 'uniqueId of', where)
        unique += u
        (uri,), (size,), (sha1,) = slot(d, 'URI'), slot(d, 'size'), slot(d, 'hash')
        name = 'IHE_XDM/SUBSET01/' + uri
        want(name in names and name not in used, 'URI of', where)
        used.add(name)
        data = z.read(name)
        want(len(data) == int(size), 'size of', where)
        want(hashlib.sha1(data).hexdigest() == sha1, 'hash of', where)
        want(name in links, 'INDEX.HTM does not lead to', name)
        for p in slot(d, 'sourcePatientId'):
            want(re.fullmatch(r'[^^|~&]+\^\^\^&[0-9.]+&ISO', p), 'sourcePatientId of', where)
        for r in slot(d, 'urn:ihe:iti:xds:2013:referenceIdList'):
            want(re.fullmatch(r'[0-9.]+\^\^\^\^urn:ihe:iti:xds:2016:studyInstanceUID', r), 'reference of', where)
    for n in names:
        if n.startswith('IHE_XDM/SUBSET01/') and n not in used:
            want(n.endswith(('/', '/METADATA.XML')), 'no entry leads to', n)


main(*sys.argv[1:])
for w in wrong:
    print(w)
sys.exit(1 if wrong else 0)
