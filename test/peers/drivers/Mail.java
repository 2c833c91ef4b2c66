// Mail seals and opens S/MIME messages with Bouncy Castle, for timing beside package smime:
//
//   java Mail seal|open PROVIDER DIR IN OUT    one message of any length, file to file
//   java Mail loop PROVIDER DIR ENTITY SEALED  reads "seal N" and "open N" and answers with the thread's CPU nanoseconds for N of them
//
// PROVIDER is JDK or BC: whose ciphers and keys. DIR holds alice.der and alice-key.der, who signs, bob.der and bob-key.der, who gets,
// middle.der and anchor.der, the authorities. Keys are PKCS #8.
//
// It streams, by the stream generators and the parser of org.bouncycastle.cms, with java.util.Base64 around them. What is sealed
// is an entity (with Content-Type message/rfc822), which package smime makes of a message itself. The first line of the multipart header
// names the boundary, as package smime writes it. What is opened goes to OUT as it comes, before the signature is known to hold; package
// smime's caller keeps it back. A chain that was found good once is not looked at again: package trust remembers chains, too.

import java.io.*;
import java.lang.management.*;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.security.*;
import java.security.cert.*;
import java.security.cert.Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.*;
import org.bouncycastle.asn1.nist.NISTObjectIdentifiers;
import org.bouncycastle.asn1.x509.AlgorithmIdentifier;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.jcajce.*;
import org.bouncycastle.cms.*;
import org.bouncycastle.cms.jcajce.*;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.operator.*;
import org.bouncycastle.operator.jcajce.*;
import org.bouncycastle.util.CollectionStore;

public final class Mail {
    private static final byte[] CRLF = {'\r', '\n'};

    private final Provider bc; // null: the JDK's
    private final int block;   // of reading and writing
    private final PrivateKey aliceKey, bobKey;
    private final X509Certificate alice, bob, middle, anchor;
    private final Set<Certificate> trusted = new HashSet<>();

    private Mail(String provider, Path dir, int block) throws Exception {
        this.bc = provider.equals("BC") ? new BouncyCastleProvider() : null;
        this.block = block;
        if (bc != null) {
            Security.addProvider(bc);
        }
        aliceKey = key(dir.resolve("alice-key.der"));
        bobKey = key(dir.resolve("bob-key.der"));
        alice = certificate(dir.resolve("alice.der"));
        bob = certificate(dir.resolve("bob.der"));
        middle = certificate(dir.resolve("middle.der"));
        anchor = certificate(dir.resolve("anchor.der"));
    }

    public static void main(String[] args) throws Exception {
        Path dir = Path.of(args[2]);
        if (args[0].equals("loop")) {
            new Mail(args[1], dir, 8 << 10).loop(Files.readAllBytes(Path.of(args[3])), Files.readAllBytes(Path.of(args[4])));
            return;
        }
        Mail mail = new Mail(args[1], dir, 64 << 10);
        try (InputStream in = new FileInputStream(args[3]); OutputStream out = new FileOutputStream(args[4])) {
            if (args[0].equals("seal")) {
                mail.seal(in, out);
            } else {
                mail.open(in, out);
            }
        }
    }

    private void loop(byte[] entity, byte[] sealed) throws Exception {
        ThreadMXBean clock = ManagementFactory.getThreadMXBean();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = in.readLine()) != null;) {
            String[] words = line.split(" ");
            long start = clock.getCurrentThreadCpuTime();
            for (int n = Integer.parseInt(words[1]); n > 0; n--) {
                ByteArrayOutputStream out = new ByteArrayOutputStream(2 * entity.length);
                if (words[0].equals("seal")) {
                    seal(new ByteArrayInputStream(entity), out);
                } else {
                    open(new ByteArrayInputStream(sealed), out);
                    if (out.size() != entity.length) {
                        throw new IOException(out.size() + " octets came out");
                    }
                }
            }
            System.out.println(clock.getCurrentThreadCpuTime() - start);
        }
    }

    private void seal(InputStream entity, OutputStream file) throws Exception {
        OutputStream out = new BufferedOutputStream(file, block);
        out.write(ascii("From: alice@clinic.example\r\nTo: bob@lab.example\r\nMIME-Version: 1.0\r\n"
                + "Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n\r\n"));
        OutputStream base64 = Base64.getMimeEncoder(76, CRLF).wrap(open(out));
        CMSEnvelopedDataStreamGenerator enveloped = new CMSEnvelopedDataStreamGenerator();
        enveloped.setBufferSize(block);
        JceKeyTransRecipientInfoGenerator to = new JceKeyTransRecipientInfoGenerator(bob);
        JceCMSContentEncryptorBuilder cipher = new JceCMSContentEncryptorBuilder(CMSAlgorithm.AES128_CBC);
        JcaSimpleSignerInfoGeneratorBuilder by = new JcaSimpleSignerInfoGeneratorBuilder();
        if (bc != null) {
            to.setProvider(bc);
            cipher.setProvider(bc);
            by.setProvider(bc);
        }
        enveloped.addRecipientInfoGenerator(to);
        OutputStream inside = enveloped.open(base64, cipher.build());
        String boundary = new java.math.BigInteger(128, random).toString(36);
        inside.write(ascii("Content-Type: multipart/signed; boundary=" + boundary
                + "; protocol=\"application/pkcs7-signature\"; micalg=sha-256\r\n\r\n--" + boundary + "\r\n"));

        CMSSignedDataStreamGenerator signed = new CMSSignedDataStreamGenerator();
        signed.addSignerInfoGenerator(by.build("SHA256withRSA", aliceKey, alice));
        signed.addCertificates(new CollectionStore<>(List.of(new JcaX509CertificateHolder(alice), new JcaX509CertificateHolder(middle))));
        ByteArrayOutputStream p7s = new ByteArrayOutputStream(4096);
        OutputStream content = signed.open(p7s, false, open(inside));
        byte[] buffer = new byte[block];
        for (int n; (n = entity.read(buffer)) > 0;) {
            content.write(buffer, 0, n);
        }
        content.close();
        inside.write(ascii("\r\n--" + boundary + "\r\nContent-Type: application/pkcs7-signature; name=smime.p7s\r\nContent-Transfer-Encoding: base64\r\n\r\n"));
        inside.write(Base64.getMimeEncoder(76, CRLF).encode(p7s.toByteArray()));
        inside.write(ascii("\r\n--" + boundary + "--\r\n"));
        inside.close();
        base64.close();
        out.write(CRLF);
        out.flush();
    }

    private static final SecureRandom random = new SecureRandom();

    private void open(InputStream file, OutputStream draft) throws Exception {
        InputStream in = new BufferedInputStream(file, block);
        header(in);
        CMSEnvelopedDataParser parser = new CMSEnvelopedDataParser(Base64.getMimeDecoder().wrap(in));
        RecipientInformation info = parser.getRecipientInfos().get(new JceKeyTransRecipientId(bob));
        JceKeyTransEnvelopedRecipient by = new JceKeyTransEnvelopedRecipient(bobKey);
        JcaDigestCalculatorProviderBuilder digests = new JcaDigestCalculatorProviderBuilder();
        if (bc != null) {
            by.setProvider(bc);
            digests.setProvider(bc);
        }
        Parts parts = new Parts(new BufferedInputStream(info.getContentStream(by).getContentStream(), block));
        DigestCalculator digest = digests.build().get(new AlgorithmIdentifier(NISTObjectIdentifiers.id_sha256));
        OutputStream content = digest.getOutputStream();
        parts.next((b, n) -> {
            content.write(b, 0, n);
            draft.write(b, 0, n);
        });
        content.close();
        ByteArrayOutputStream second = new ByteArrayOutputStream(4096);
        parts.next((b, n) -> second.write(b, 0, n));
        InputStream p7s = new ByteArrayInputStream(second.toByteArray());
        header(p7s);
        verify(new CMSSignedData(Map.of(NISTObjectIdentifiers.id_sha256, digest.getDigest()), Base64.getMimeDecoder().decode(p7s.readAllBytes())));
    }

    private void verify(CMSSignedData data) throws Exception {
        JcaSimpleSignerInfoVerifierBuilder verifier = new JcaSimpleSignerInfoVerifierBuilder();
        JcaX509CertificateConverter converter = new JcaX509CertificateConverter();
        if (bc != null) {
            verifier.setProvider(bc);
            converter.setProvider(bc);
        }
        int good = 0;
        for (SignerInformation signer : data.getSignerInfos()) {
            @SuppressWarnings("unchecked")
            Collection<X509CertificateHolder> named = data.getCertificates().getMatches(signer.getSID());
            X509Certificate cert = converter.getCertificate(named.iterator().next());
            if (!signer.verify(verifier.build(cert)) || !trusts(cert)) {
                throw new CMSException("a signature does not hold");
            }
            good++;
        }
        if (good == 0) {
            throw new CMSException("nobody signed");
        }
    }

    private boolean trusts(X509Certificate cert) throws Exception {
        if (trusted.contains(cert)) {
            return true;
        }
        X509CertSelector leaf = new X509CertSelector();
        leaf.setCertificate(cert);
        PKIXBuilderParameters p = new PKIXBuilderParameters(Set.of(new TrustAnchor(anchor, null)), leaf);
        p.setRevocationEnabled(false);
        p.addCertStore(CertStore.getInstance("Collection", new CollectionCertStoreParameters(List.of(cert, middle))));
        CertPathBuilder.getInstance("PKIX").build(p); // or an exception
        return trusted.add(cert);
    }

    /** header reads up to and with the empty line. */
    private static String header(InputStream in) throws IOException {
        StringBuilder text = new StringBuilder();
        for (int line = 1; line != 0;) { // 0: an empty one has ended
            line = 0;
            for (int c; (c = in.read()) != '\n'; line += c == '\r' ? 0 : 1) {
                if (c < 0) {
                    throw new EOFException("a header has no end");
                }
                text.append((char) c);
            }
            text.append('\n');
        }
        return text.toString();
    }

    private interface Sink {
        void write(byte[] b, int n) throws IOException;
    }

    /** Parts are those of a multipart, one after the other. */
    private final class Parts {
        private final InputStream in;
        private final byte[] delimiter;
        private final byte[] buffer = new byte[2 * block];
        private int held;

        Parts(InputStream in) throws IOException {
            this.in = in;
            java.util.regex.Matcher m = java.util.regex.Pattern.compile("boundary=\"?([^\";\\s]+)").matcher(header(in));
            if (!m.find()) {
                throw new IOException("no boundary");
            }
            delimiter = ascii("\r\n--" + m.group(1));
            buffer[held++] = '\r';
            buffer[held++] = '\n';
            next((b, n) -> {});
        }

        /** next hands out what is before the next delimiter, and reads past its line's end. */
        void next(Sink to) throws IOException {
            for (boolean end = false;;) {
                int at = find(delimiter);
                if (at >= 0) {
                    to.write(buffer, at);
                    drop(at + delimiter.length);
                    break;
                }
                if (end) {
                    throw new EOFException("a multipart has no end");
                }
                int out = Math.max(0, held - delimiter.length + 1);
                to.write(buffer, out);
                drop(out);
                end = !fill();
            }
            while (find(CRLF) < 0 && fill()) {
            }
            drop(find(CRLF) + 2);
        }

        private boolean fill() throws IOException {
            int n = in.read(buffer, held, buffer.length - held);
            held += Math.max(n, 0);
            return n > 0;
        }

        private void drop(int n) {
            System.arraycopy(buffer, n, buffer, 0, held - n);
            held -= n;
        }

        private int find(byte[] what) {
            for (int i = 0; i + what.length <= held; i++) {
                if (buffer[i] == what[0] && Arrays.equals(buffer, i, i + what.length, what, 0, what.length)) {
                    return i;
                }
            }
            return -1;
        }
    }

    /** open is out, but closing it does nothing. */
    private static OutputStream open(OutputStream out) {
        return new FilterOutputStream(out) {
            @Override
            public void write(byte[] b, int at, int n) throws IOException {
                out.write(b, at, n);
            }

            @Override
            public void close() {
            }
        };
    }

    private static byte[] ascii(String s) {
        return s.getBytes(StandardCharsets.US_ASCII);
    }

    private static X509Certificate certificate(Path file) throws Exception {
        try (InputStream in = Files.newInputStream(file)) {
            return (X509Certificate) CertificateFactory.getInstance("X.509").generateCertificate(in);
        }
    }

    private PrivateKey key(Path file) throws Exception {
        KeyFactory f = bc == null ? KeyFactory.getInstance("RSA") : KeyFactory.getInstance("RSA", bc);
        return f.generatePrivate(new PKCS8EncodedKeySpec(Files.readAllBytes(file)));
    }
}
