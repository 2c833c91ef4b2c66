package peers

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
)

// ClassPath is where Debian puts Bouncy Castle.
const ClassPath = "/usr/share/java/bcprov.jar:/usr/share/java/bcpkix.jar:/usr/share/java/bcutil.jar"

// BouncyCastle is a Java program on Bouncy Castle: one process that answers many requests.
type BouncyCastle struct {
	folder
	world   *World
	version string
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
}

// Javac compiles drivers into dir, which is then what goes before ClassPath.
func Javac(dir string, sources ...string) error {
	args := []string{"-J-XX:TieredStopAtLevel=1", "-cp", ClassPath, "-d", dir}
	for _, s := range sources {
		file, err := Driver(dir, s)
		if err != nil {
			return err
		}
		args = append(args, file)
	}
	_, err := folder(dir).run(nil, "javac", args...)
	return err
}

func newBouncyCastle(w *World, dir string) (*BouncyCastle, error) {
	f, err := newFolder(dir)
	if err != nil {
		return nil, err
	}
	if err := Javac(dir, "Serve.java", "X25519.java"); err != nil {
		return nil, err
	}
	b := &BouncyCastle{folder: f, world: w}
	b.cmd = exec.Command("java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx128m", "-cp", dir+":"+ClassPath, "Serve")
	if b.in, err = b.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := b.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	b.out = bufio.NewReader(out)
	if err := b.cmd.Start(); err != nil {
		return nil, err
	}
	v, err := b.ask("version")
	b.version = string(v)
	return b, err
}

func (b *BouncyCastle) close() error {
	return errors.Join(b.in.Close(), b.cmd.Wait()) // it ends with its input
}

// Name implements Peer.
func (b *BouncyCastle) Name() string { return "Bouncy Castle " + short(b.version) }

// ask sends a request, a count and then octets by their length, and reads the answer: whether it is one, and octets by their length.
func (b *BouncyCastle) ask(words ...any) ([]byte, error) {
	req := binary.BigEndian.AppendUint32(nil, uint32(len(words)))
	for _, w := range words {
		data, ok := w.([]byte)
		if !ok {
			data = []byte(w.(string))
		}
		req = append(binary.BigEndian.AppendUint32(req, uint32(len(data))), data...)
	}
	if _, err := b.in.Write(req); err != nil {
		return nil, fmt.Errorf("the Java process: %w", err)
	}
	var head [5]byte
	if _, err := io.ReadFull(b.out, head[:]); err != nil {
		return nil, fmt.Errorf("the Java process: %w", err)
	}
	answer := make([]byte, binary.BigEndian.Uint32(head[1:]))
	if _, err := io.ReadFull(b.out, answer); err != nil {
		return nil, fmt.Errorf("the Java process: %w", err)
	}
	if head[0] != 0 {
		return nil, fmt.Errorf("%s: %s", words[0], answer)
	}
	return answer, nil
}

// Sign implements Peer.
func (b *BouncyCastle) Sign(content []byte, s Signing) ([]byte, error) {
	words := []any{"sign", map[bool]string{true: "opaque", false: "detached"}[s.Opaque], content}
	for _, p := range s.Signers {
		words = append(words, javaSignature(p, s), p.Certificate.Raw, p.pkcs8)
	}
	return b.ask(words...)
}

// javaSignature is how the Java Cryptography Architecture spells a signature algorithm.
func javaSignature(p *Person, s Signing) string {
	hash := strings.ToUpper(dashless(s.Hash))
	switch {
	case p.Name == "ed25519":
		return "Ed25519"
	case isRSA(p) && s.PSS:
		return hash + "withRSAandMGF1"
	case isRSA(p):
		return hash + "withRSA"
	}
	return hash + "withECDSA"
}

// Verify implements Peer: every signature, and every signer's certificate by the CA.
func (b *BouncyCastle) Verify(message, content []byte) ([]byte, error) {
	if content == nil {
		return b.ask("verify", b.world.CA.Raw, message)
	}
	return b.ask("verify", b.world.CA.Raw, message, content)
}

// Encrypt implements Peer.
func (b *BouncyCastle) Encrypt(content []byte, e Encryption) ([]byte, error) {
	words := []any{map[bool]string{false: "encrypt", true: "encrypt with attributes"}[e.Attributes], e.Cipher.String(), content}
	for _, p := range e.To {
		how := "RSAES-PKCS1"
		switch {
		case p.Name == "x25519":
			how = "X25519 " + map[bool]string{true: "hkdf", false: "x963"}[e.HKDF] + " " + dashless(e.KDF)
		case !isRSA(p):
			how = "ECDH " + dashless(e.KDF)
		case oaep(e.Key) != 0:
			how = "OAEP " + oaep(e.Key).String()
		}
		words = append(words, how, p.Certificate.Raw)
	}
	return b.ask(words...)
}

// Decrypt implements Peer.
func (b *BouncyCastle) Decrypt(message []byte, by *Person) ([]byte, error) {
	return b.ask("decrypt", message, by.Certificate.Raw, by.pkcs8)
}

// Compress implements Peer.
func (b *BouncyCastle) Compress(content []byte) ([]byte, error) { return b.ask("compress", content) }

// Decompress implements Peer.
func (b *BouncyCastle) Decompress(message []byte) ([]byte, error) {
	return b.ask("decompress", message)
}
