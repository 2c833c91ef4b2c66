package bench

import (
	"os/exec"
	"testing"

	"carepost/test/peers"
)

// carepost is the built program.
func (w *world) carepost(b *testing.B) *engine {
	program := w.path("carepost")
	if out, err := exec.Command("go", "build", "-o", program, "carepost/cmd/carepost").CombinedOutput(); err != nil {
		b.Fatalf("go build: %v\n%s", err, out)
	}
	seal := []string{program, "seal", "--from", "alice@clinic.example", "--to", "bob@lab.example", "--cipher", "aes128",
		"--key", w.path("alice-key.pem"), "--cert", w.path("alice-chain.pem"), "--rcpt-cert", w.path("bob.pem")}
	open := []string{program, "open", "--to", "bob@lab.example",
		"--key", w.path("bob-key.pem"), "--cert", w.path("bob.pem"), "--anchor", w.path("anchor.pem")}
	return &engine{name: "carepost", of: ".eml",
		seal: func(in, out string) (cost, error) { return pipe(in, out, &stage{args: seal}) },
		open: func(in, out string) (cost, error) { return pipe(in, out, &stage{args: open}) },
	}
}

// openssl is the command line: two processes, one for the signature and one for the encryption.
func (w *world) openssl() *engine {
	cms := func(args ...string) *stage {
		return &stage{args: append([]string{"openssl", "cms", "-binary"}, args...)}
	}
	return &engine{name: "OpenSSL", of: ".entity",
		seal: func(in, out string) (cost, error) {
			return pipe(in, out,
				cms("-sign", "-stream", "-md", "sha256", "-signer", w.path("alice.pem"), "-inkey", w.path("alice-key.pem"), "-certfile", w.path("middle.pem")),
				cms("-encrypt", "-stream", "-aes-128-cbc", "-crlfeol", w.path("bob.pem")))
		},
		open: func(in, out string) (cost, error) {
			return pipe(in, out,
				cms("-decrypt", "-recip", w.path("bob.pem"), "-inkey", w.path("bob-key.pem")),
				cms("-verify", "-crlfeol", "-CAfile", w.path("anchor.pem")))
		},
	}
}

// bouncyCastle is the Java program Mail with keys and ciphers of the JDK, which are the faster ones, or of Bouncy Castle. The options of
// the virtual machine cost it the least time and memory.
func (w *world) bouncyCastle(b *testing.B, provider string) *engine {
	if err := peers.Javac(w.dir, "Mail.java"); err != nil {
		b.Fatal(err)
	}
	do := func(what string) func(in, out string) (cost, error) {
		return func(in, out string) (cost, error) {
			return pipe("", "", &stage{args: w.java("-Xmx64m", what, provider, w.dir, in, out)})
		}
	}
	return &engine{name: "Bouncy Castle, " + provider + " provider", of: ".entity", seal: do("seal"), open: do("open")}
}

func (w *world) java(memory string, args ...string) []string {
	return append([]string{"java", memory, "-XX:+UseSerialGC", "-cp", w.dir + ":" + peers.ClassPath, "Mail"}, args...)
}
