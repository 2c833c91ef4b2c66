// Serve answers requests about CMS with Bouncy Castle, over standard input and output: a count and that many strings of octets by
// their length; back comes 0 and the answer, or 1 and the reason. Numbers have four octets. It ends with its input.

import java.io.*;
import java.security.*;
import java.security.cert.*;
import java.security.interfaces.*;
import java.security.spec.*;
import java.util.*;
import javax.crypto.spec.*;
import org.bouncycastle.asn1.*;
import org.bouncycastle.asn1.cms.Attribute;
import org.bouncycastle.asn1.cms.AttributeTable;
import org.bouncycastle.asn1.cms.CMSAttributes;
import org.bouncycastle.asn1.cms.CMSObjectIdentifiers;
import org.bouncycastle.asn1.cms.ContentInfo;
import org.bouncycastle.asn1.cms.Time;
import org.bouncycastle.cert.*;
import org.bouncycastle.cert.jcajce.*;
import org.bouncycastle.cms.*;
import org.bouncycastle.cms.jcajce.*;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.operator.*;
import org.bouncycastle.operator.jcajce.*;

public final class Serve {
    private static final Provider BC = new BouncyCastleProvider();

    public static void main(String[] args) throws Exception {
        Security.addProvider(BC);
        DataInputStream in = new DataInputStream(new BufferedInputStream(System.in));
        DataOutputStream out = new DataOutputStream(new BufferedOutputStream(System.out));
        for (;;) {
            byte[][] request;
            try {
                request = new byte[in.readInt()][];
            } catch (EOFException end) {
                return;
            }
            for (int i = 0; i < request.length; i++) {
                request[i] = new byte[in.readInt()];
                in.readFully(request[i]);
            }
            byte status = 0;
            byte[] answer;
            try {
                answer = answer(request);
            } catch (Throwable refusal) {
                status = 1;
                StringBuilder why = new StringBuilder();
                for (Throwable t = refusal; t != null; t = t.getCause()) {
                    why.append(t).append("; ");
                }
                answer = why.toString().getBytes("UTF-8");
            }
            out.writeByte(status);
            out.writeInt(answer.length);
            out.write(answer);
            out.flush();
        }
    }

    private static byte[] answer(byte[][] r) throws Exception {
        switch (text(r[0])) {
        case "version":
            return String.valueOf(BC.getVersionStr()).getBytes("UTF-8");
        case "sign":
            return sign(r);
        case "verify":
            return verify(r);
        case "encrypt":
        case "encrypt with attributes":
            return encrypt(r);
        case "decrypt":
            return decrypt(r[1], certificate(r[2]), key(r[3]));
        case "compress":
            return new CMSCompressedDataGenerator().generate(new CMSProcessableByteArray(r[1]),
                    new org.bouncycastle.cms.jcajce.ZlibCompressor()).getEncoded();
        case "decompress":
            return new CMSCompressedData(r[1]).getContent(new org.bouncycastle.cms.jcajce.ZlibExpanderProvider());
        }
        throw new IllegalArgumentException(text(r[0]));
    }

    /** "sign", "opaque" or "detached", content, and for each signer: algorithm, certificate, key. */
    private static byte[] sign(byte[][] r) throws Exception {
        CMSSignedDataGenerator g = new CMSSignedDataGenerator();
        List<X509CertificateHolder> certs = new ArrayList<>();
        for (int i = 3; i < r.length; i += 3) {
            X509Certificate cert = certificate(r[i + 1]);
            g.addSignerInfoGenerator(new JcaSimpleSignerInfoGeneratorBuilder().setProvider(BC)
                    .build(text(r[i]), key(r[i + 2]), cert));
            certs.add(new JcaX509CertificateHolder(cert));
        }
        g.addCertificates(new org.bouncycastle.util.CollectionStore<>(certs));
        return g.generate(new CMSProcessableByteArray(r[2]), text(r[1]).equals("opaque")).getEncoded();
    }

    /** "verify", CA, message, and the content where it is not inside. */
    private static byte[] verify(byte[][] r) throws Exception {
        X509Certificate ca = certificate(r[1]);
        CMSSignedData data = r.length > 3
                ? new CMSSignedData(new CMSProcessableByteArray(r[3]), r[2]) : new CMSSignedData(r[2]);
        if (data.getSignerInfos().size() == 0) {
            throw new CMSException("nobody signed");
        }
        for (SignerInformation signer : data.getSignerInfos()) {
            @SuppressWarnings("unchecked")
            Collection<X509CertificateHolder> named = data.getCertificates().getMatches(signer.getSID());
            if (named.size() != 1) {
                throw new CMSException(named.size() + " certificates of a signer");
            }
            X509Certificate cert = new JcaX509CertificateConverter().setProvider(BC).getCertificate(named.iterator().next());
            cert.checkValidity();
            cert.verify(ca.getPublicKey(), BC);
            if (!signer.verify(new JcaSimpleSignerInfoVerifierBuilder().setProvider(BC).build(cert))) {
                throw new CMSException("a signature does not hold");
            }
        }
        if (r.length > 3) {
            return r[3];
        }
        if (data.getSignedContent() == null) {
            throw new CMSException("no content");
        }
        return (byte[]) data.getSignedContent().getContent();
    }

    /** "encrypt" or "encrypt with attributes", cipher, content, and for each recipient: how, certificate. */
    private static byte[] encrypt(byte[][] r) throws Exception {
        String cipher = text(r[1]);
        boolean authenticated = cipher.endsWith("GCM");
        CMSEnvelopedDataGenerator plain = new CMSEnvelopedDataGenerator();
        CMSAuthEnvelopedDataGenerator auth = new CMSAuthEnvelopedDataGenerator();
        for (int i = 3; i < r.length; i += 2) {
            RecipientInfoGenerator to = recipient(text(r[i]), certificate(r[i + 1]));
            plain.addRecipientInfoGenerator(to);
            auth.addRecipientInfoGenerator(to);
        }
        if (text(r[0]).equals("encrypt with attributes")) { // RFC 5083 §2.1: authAttrs, beside the content under the same tag
            Hashtable<ASN1ObjectIdentifier, Attribute> all = new Hashtable<>();
            all.put(CMSAttributes.contentType, new Attribute(CMSAttributes.contentType, new DERSet(CMSObjectIdentifiers.data)));
            all.put(CMSAttributes.signingTime, new Attribute(CMSAttributes.signingTime, new DERSet(new Time(new Date()))));
            auth.setAuthenticatedAttributeGenerator(new SimpleAttributeTableGenerator(new AttributeTable(all)));
        }
        OutputEncryptor encryptor = new JceCMSContentEncryptorBuilder(contentAlgorithm(cipher)).setProvider(BC).build();
        CMSTypedData content = new CMSProcessableByteArray(r[2]);
        return authenticated ? auth.generate(content, (OutputAEADEncryptor) encryptor).getEncoded()
                : plain.generate(content, encryptor).getEncoded();
    }

    private static RecipientInfoGenerator recipient(String how, X509Certificate cert) throws Exception {
        String[] words = how.split(" ");
        switch (words[0]) {
        case "RSAES-PKCS1":
            return new JceKeyTransRecipientInfoGenerator(cert).setProvider(BC);
        case "OAEP":
            return new JceKeyTransRecipientInfoGenerator(cert, new JcaAlgorithmParametersConverter().getAlgorithmIdentifier(
                    org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers.id_RSAES_OAEP,
                    new OAEPParameterSpec(words[1], "MGF1", new MGF1ParameterSpec(words[1]), PSource.PSpecified.DEFAULT))).setProvider(BC);
        }
        if (words[0].equals("X25519")) {
            return new X25519(words[1], words[2], cert);
        }
        ASN1ObjectIdentifier kdf = Map.of("sha1", CMSAlgorithm.ECDH_SHA1KDF, "sha256", CMSAlgorithm.ECDH_SHA256KDF,
                "sha384", CMSAlgorithm.ECDH_SHA384KDF, "sha512", CMSAlgorithm.ECDH_SHA512KDF).get(words[1]);
        KeyPairGenerator g = KeyPairGenerator.getInstance("EC", BC);
        g.initialize(((ECPublicKey) cert.getPublicKey()).getParams());
        KeyPair own = g.generateKeyPair();
        return new JceKeyAgreeRecipientInfoGenerator(kdf, own.getPrivate(), own.getPublic(), CMSAlgorithm.AES256_WRAP)
                .addRecipient(cert).setProvider(BC);
    }

    private static ASN1ObjectIdentifier contentAlgorithm(String cipher) {
        switch (cipher) {
        case "AES-128-CBC":
            return CMSAlgorithm.AES128_CBC;
        case "AES-192-CBC":
            return CMSAlgorithm.AES192_CBC;
        case "AES-256-CBC":
            return CMSAlgorithm.AES256_CBC;
        case "AES-128-GCM":
            return CMSAlgorithm.AES128_GCM;
        case "AES-192-GCM":
            return CMSAlgorithm.AES192_GCM;
        case "AES-256-GCM":
            return CMSAlgorithm.AES256_GCM;
        }
        throw new IllegalArgumentException(cipher);
    }

    private static byte[] decrypt(byte[] message, X509Certificate cert, PrivateKey key) throws Exception {
        if (key.getAlgorithm().equals("X25519")) {
            return X25519.decrypt(message, key);
        }
        boolean authenticated = CMSObjectIdentifiers.authEnvelopedData.equals(ContentInfo.getInstance(message).getContentType());
        RecipientInformationStore infos = authenticated
                ? new CMSAuthEnvelopedData(message).getRecipientInfos() : new CMSEnvelopedData(message).getRecipientInfos();
        RecipientId id = key instanceof RSAPrivateKey ? new JceKeyTransRecipientId(cert) : new JceKeyAgreeRecipientId(cert);
        RecipientInformation info = infos.get(id);
        if (info == null) {
            throw new CMSException("not to this recipient");
        }
        if (key instanceof RSAPrivateKey) {
            return info.getContent(authenticated ? new JceKeyTransAuthEnvelopedRecipient(key).setProvider(BC)
                    : new JceKeyTransEnvelopedRecipient(key).setProvider(BC));
        }
        if (authenticated) { // 1.72 has no class for it
            throw new UnsupportedOperationException("AuthEnvelopedData by key agreement");
        }
        return info.getContent(new JceKeyAgreeEnvelopedRecipient(key).setProvider(BC));
    }

    private static X509Certificate certificate(byte[] der) throws Exception {
        return (X509Certificate) CertificateFactory.getInstance("X.509", BC).generateCertificate(new ByteArrayInputStream(der));
    }

    private static PrivateKey key(byte[] pkcs8) throws Exception {
        return BouncyCastleProvider.getPrivateKey(org.bouncycastle.asn1.pkcs.PrivateKeyInfo.getInstance(pkcs8));
    }

    private static String text(byte[] b) throws Exception {
        return new String(b, "UTF-8");
    }
}
