// Bundle writes trust bundles as gateways in Java do: certs-only messages in BER of indefinite length, with metadata as content or none,
// and one of them inside a signed message. Arguments: a folder with anchors.pem, signer.pem and signer.p8, where the bundles go.

import java.io.FileInputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.security.*;
import java.security.cert.*;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.*;
import org.bouncycastle.asn1.*;
import org.bouncycastle.asn1.cms.*;
import org.bouncycastle.cert.jcajce.JcaCertStore;
import org.bouncycastle.cms.*;
import org.bouncycastle.cms.jcajce.*;
import org.bouncycastle.operator.jcajce.*;

final class Bundle {
    public static void main(String[] args) throws Exception {
        Path dir = Paths.get(args[0]);
        Collection<X509Certificate> anchors = read(dir.resolve("anchors.pem"));
        X509Certificate signer = read(dir.resolve("signer.pem")).iterator().next();
        PrivateKey key = KeyFactory.getInstance(signer.getPublicKey().getAlgorithm())
                .generatePrivate(new PKCS8EncodedKeySpec(Files.readAllBytes(dir.resolve("signer.p8"))));
        CMSTypedData metadata = new CMSProcessableByteArray(
                "<TrustBundle><Profile>a profile</Profile></TrustBundle>".getBytes(StandardCharsets.UTF_8));

        CMSSignedDataGenerator plain = new CMSSignedDataGenerator();
        plain.addCertificates(new JcaCertStore(anchors));
        CMSSignedData inner = plain.generate(metadata, true);
        write(dir, "java.p7b", inner.toASN1Structure());
        write(dir, "java-bare.p7b", plain.generate(new CMSAbsentContent()).toASN1Structure());

        CMSSignedDataGenerator signed = new CMSSignedDataGenerator();
        signed.addCertificates(new JcaCertStore(Collections.singletonList(signer)));
        signed.addSignerInfoGenerator(new JcaSignerInfoGeneratorBuilder(new JcaDigestCalculatorProviderBuilder().build())
                .build(new JcaContentSignerBuilder("SHA256with" + (key.getAlgorithm().equals("EC") ? "ECDSA" : "RSA")).build(key), signer));
        write(dir, "java.p7m", signed.generate(new CMSProcessableByteArray(Files.readAllBytes(dir.resolve("java.p7b"))), true).toASN1Structure());
    }

    private static Collection<X509Certificate> read(Path file) throws Exception {
        Collection<X509Certificate> all = new ArrayList<>();
        try (FileInputStream in = new FileInputStream(file.toFile())) {
            for (java.security.cert.Certificate c : CertificateFactory.getInstance("X.509").generateCertificates(in)) {
                all.add((X509Certificate) c);
            }
        }
        return all;
    }

    private static void write(Path dir, String name, ContentInfo message) throws Exception {
        Files.write(dir.resolve(name), message.getEncoded(ASN1Encoding.BER));
    }
}
