// X25519 puts key agreement with X25519 in CMS (RFC 8418) together from Bouncy Castle's parts: its agreement, key derivations, key
// wrap and ASN.1. Version 1.72 has all of them, and no class of its own that joins them.

import java.security.PrivateKey;
import java.security.SecureRandom;
import java.security.cert.X509Certificate;
import java.util.Arrays;
import javax.crypto.Cipher;
import javax.crypto.spec.IvParameterSpec;
import javax.crypto.spec.SecretKeySpec;
import org.bouncycastle.asn1.*;
import org.bouncycastle.asn1.cms.*;
import org.bouncycastle.asn1.cms.ecc.ECCCMSSharedInfo;
import org.bouncycastle.asn1.edec.EdECObjectIdentifiers;
import org.bouncycastle.asn1.pkcs.PrivateKeyInfo;
import org.bouncycastle.asn1.x509.AlgorithmIdentifier;
import org.bouncycastle.cms.CMSAlgorithm;
import org.bouncycastle.cms.CMSException;
import org.bouncycastle.cms.RecipientInfoGenerator;
import org.bouncycastle.crypto.Digest;
import org.bouncycastle.crypto.agreement.X25519Agreement;
import org.bouncycastle.crypto.digests.*;
import org.bouncycastle.crypto.engines.AESWrapEngine;
import org.bouncycastle.crypto.generators.*;
import org.bouncycastle.crypto.params.*;
import org.bouncycastle.operator.GenericKey;
import org.bouncycastle.util.Pack;

final class X25519 implements RecipientInfoGenerator {
    private static final String HKDF = "1.2.840.113549.1.9.16.3."; // RFC 8418 §2.2: 19, 20, 21
    private static final String X963 = "1.3.132.1.11."; // SEC 1: 1, 2, 3

    private final String scheme;
    private final X509Certificate to;

    /** kdf is "hkdf" or "x963", hash "sha256" and so on. */
    X25519(String kdf, String hash, X509Certificate to) {
        int n = Arrays.asList("sha256", "sha384", "sha512").indexOf(hash);
        if (n < 0) {
            throw new IllegalArgumentException(hash);
        }
        this.scheme = kdf.equals("hkdf") ? HKDF + (19 + n) : X963 + (1 + n);
        this.to = to;
    }

    public RecipientInfo generate(GenericKey key) throws CMSException {
        try {
            X25519PrivateKeyParameters own = new X25519PrivateKeyParameters(new SecureRandom());
            byte[] theirs = org.bouncycastle.asn1.x509.SubjectPublicKeyInfo.getInstance(to.getPublicKey().getEncoded())
                    .getPublicKeyData().getOctets();
            AlgorithmIdentifier wrap = new AlgorithmIdentifier(CMSAlgorithm.AES256_WRAP);
            AESWrapEngine engine = new AESWrapEngine();
            engine.init(true, new KeyParameter(kek(scheme, own, theirs, wrap, 256, null)));
            byte[] cek = key.getRepresentation() instanceof java.security.Key
                    ? ((java.security.Key) key.getRepresentation()).getEncoded() : (byte[]) key.getRepresentation();
            org.bouncycastle.cert.X509CertificateHolder holder = new org.bouncycastle.cert.X509CertificateHolder(to.getEncoded());
            return new RecipientInfo(new KeyAgreeRecipientInfo(
                    new OriginatorIdentifierOrKey(new OriginatorPublicKey(
                            new AlgorithmIdentifier(EdECObjectIdentifiers.id_X25519), own.generatePublicKey().getEncoded())),
                    null, new AlgorithmIdentifier(new ASN1ObjectIdentifier(scheme), wrap),
                    new DERSequence(new RecipientEncryptedKey(
                            new KeyAgreeRecipientIdentifier(new IssuerAndSerialNumber(holder.getIssuer(), holder.getSerialNumber())),
                            new DEROctetString(engine.wrap(cek, 0, cek.length))))));
        } catch (Exception e) {
            throw new CMSException(e.toString(), e);
        }
    }

    /** Returns the content of an EnvelopedData with a single recipient. */
    static byte[] decrypt(byte[] message, PrivateKey key) throws Exception {
        EnvelopedData data = EnvelopedData.getInstance(ContentInfo.getInstance(message).getContent());
        KeyAgreeRecipientInfo info = KeyAgreeRecipientInfo.getInstance(RecipientInfo.getInstance(data.getRecipientInfos().getObjectAt(0)).getInfo());
        byte[] seed = ASN1OctetString.getInstance(PrivateKeyInfo.getInstance(key.getEncoded()).parsePrivateKey()).getOctets();
        AlgorithmIdentifier wrap = AlgorithmIdentifier.getInstance(info.getKeyEncryptionAlgorithm().getParameters());
        int bits = wrap.getAlgorithm().equals(CMSAlgorithm.AES128_WRAP) ? 128 : wrap.getAlgorithm().equals(CMSAlgorithm.AES192_WRAP) ? 192 : 256;
        byte[] ukm = info.getUserKeyingMaterial() == null ? null : info.getUserKeyingMaterial().getOctets();
        byte[] kek = kek(info.getKeyEncryptionAlgorithm().getAlgorithm().getId(), new X25519PrivateKeyParameters(seed),
                info.getOriginator().getOriginatorKey().getPublicKey().getOctets(), wrap, bits, ukm);
        AESWrapEngine engine = new AESWrapEngine();
        engine.init(false, new KeyParameter(kek));
        byte[] wrapped = RecipientEncryptedKey.getInstance(info.getRecipientEncryptedKeys().getObjectAt(0)).getEncryptedKey().getOctets();
        byte[] cek = engine.unwrap(wrapped, 0, wrapped.length);
        EncryptedContentInfo content = data.getEncryptedContentInfo();
        Cipher cipher = Cipher.getInstance("AES/CBC/PKCS5Padding");
        cipher.init(Cipher.DECRYPT_MODE, new SecretKeySpec(cek, "AES"), new IvParameterSpec(
                ASN1OctetString.getInstance(content.getContentEncryptionAlgorithm().getParameters()).getOctets()));
        return cipher.doFinal(content.getEncryptedContent().getOctets());
    }

    private static byte[] kek(String scheme, X25519PrivateKeyParameters own, byte[] theirs, AlgorithmIdentifier wrap, int bits, byte[] ukm)
            throws Exception {
        X25519Agreement agreement = new X25519Agreement();
        agreement.init(own);
        byte[] z = new byte[agreement.getAgreementSize()];
        agreement.calculateAgreement(new X25519PublicKeyParameters(theirs), z, 0);
        byte[] info = new ECCCMSSharedInfo(wrap, ukm, Pack.intToBigEndian(bits)).getEncoded(ASN1Encoding.DER);
        byte[] kek = new byte[bits / 8];
        if (scheme.startsWith(HKDF)) {
            HKDFBytesGenerator g = new HKDFBytesGenerator(digest(Integer.parseInt(scheme.substring(HKDF.length())) - 19));
            g.init(new HKDFParameters(z, null, info));
            g.generateBytes(kek, 0, kek.length);
        } else {
            KDF2BytesGenerator g = new KDF2BytesGenerator(digest(Integer.parseInt(scheme.substring(X963.length())) - 1)); // as ANSI X9.63
            g.init(new KDFParameters(z, info));
            g.generateBytes(kek, 0, kek.length);
        }
        return kek;
    }

    private static Digest digest(int n) {
        return n == 0 ? new SHA256Digest() : n == 1 ? new SHA384Digest() : new SHA512Digest();
    }
}
