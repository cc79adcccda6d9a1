package report

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/crypto/ssh"
)

// A certificate is signed with where the agent offers nothing else, and RSA
// keys do not fall back to SHA-1 with it.
func TestSign_certificate(t *testing.T) {
	for _, args := range [][]string{{"-t", "ed25519"}, {"-t", "rsa", "-b", "2048"}} {
		t.Run(args[1], func(t *testing.T) {
			authority, path := makeKey(t, "-t", "ed25519"), makeKey(t, args...)
			mustRun(t, "ssh-keygen", "-q", "-s", authority, "-I", "ops1's laptop", "-n", "ops1,deputy", "-V", "-1h:+1h", path+".pub")
			both, alone := startAgent(t), startAgent(t)
			add(t, both, path) // with its certificate beside it
			keys, err := FindKeys(t.Context(), environment(map[string]string{"SSH_AUTH_SOCK": both}))
			must(t, err)
			if len(keys) != 1 || keys[0].Certificate {
				t.Fatalf("the plain key is preferred, found %v", keys)
			}
			add(t, alone, path)
			add(t, alone, "-d", publicOnly(t, path))
			keys, err = FindKeys(t.Context(), environment(map[string]string{"SSH_AUTH_SOCK": alone}))
			must(t, err)
			if len(keys) != 1 || !keys[0].Certificate || keys[0].Fingerprint != fingerprint(t, path) {
				t.Fatalf("found %+v", keys)
			}
			certificate := keys[0]
			bare := filepath.Join(t.TempDir(), "key")
			must(t, os.WriteFile(bare, []byte(publicKey(t, path)+"\n"), 0o600))
			add(t, alone, bare) // listed after its certificate
			keys, err = FindKeys(t.Context(), environment(map[string]string{"SSH_AUTH_SOCK": alone}))
			must(t, err)
			if len(keys) != 1 || keys[0].Certificate {
				t.Fatalf("the plain key is preferred, found %v", keys)
			}
			s, err := certificate.Signer(t.Context(), nil)
			must(t, err)
			dir := written(t)
			sig, err := Sign(t.Context(), dir, s)
			must(t, err)
			if sig.Authority != fingerprint(t, authority) {
				t.Errorf("signed %+v", sig)
			}
			signers := allow(t, `ops1,*.example.com cert-authority,namespaces="report@comeback" `+publicKey(t, authority+".pub"))
			must(t, stock(t, dir, signers, "ops1"))
			v, err := ours(t, dir, signers, "ops1")
			must(t, err)
			if v.Principal != "ops1" || v.Signature.Fingerprint != fingerprint(t, path) {
				t.Errorf("verified %+v", v)
			}
			if v, err = ours(t, dir, signers, ""); err != nil || v.Principal != "ops1" {
				t.Errorf("without a name: %+v, %v", v, err)
			}
			for _, list := range []string{
				allow(t, "ops1 "+publicKey(t, authority+".pub")),                // not as an authority
				allow(t, "ops1 "+publicKey(t, path+".pub")),                     // the plain key did not sign
				allow(t, "lead cert-authority "+publicKey(t, authority+".pub")), // another name
				allow(t, "ops1 cert-authority "+publicKey(t, path+".pub")),      // another authority
			} {
				if stock(t, dir, list, "ops1") == nil {
					t.Errorf("ssh-keygen accepts %s", publicKey(t, list))
				}
				if _, err := ours(t, dir, list, "ops1"); err == nil {
					t.Errorf("we accept %s", publicKey(t, list))
				}
			}
		})
	}
}

// publicOnly copies a public key to where ssh-add sees no certificate.
func publicOnly(t *testing.T, path string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "plain.pub")
	must(t, os.WriteFile(to, []byte(publicKey(t, path+".pub")+"\n"), 0o600))
	return to
}

// A certificate that has expired or is a host's is worth nothing to ssh-keygen
// and to us.
func TestVerify_certificate(t *testing.T) {
	for want, args := range map[string][]string{
		"":                    {"-n", "ops1"},
		"expired":             {"-n", "ops1", "-V", "20200101:20200201"},
		"not yet valid":       {"-n", "ops1", "-V", "20990101:21000101"},
		"host's":              {"-n", "ops1", "-h"},
		"names nobody":        {"-n", "lead"},
		"names nobody at all": {},
		"restricts logins":    {"-n", "ops1", "-O", "force-command=/bin/true", "-O", "source-address=192.0.2.1/32"},
	} {
		t.Run(want, func(t *testing.T) {
			authority, path, socket := makeKey(t, "-t", "ed25519"), makeKey(t, "-t", "ed25519"), startAgent(t)
			mustRun(t, append(append([]string{"ssh-keygen", "-q", "-s", authority, "-I", "x"}, args...), path+".pub")...)
			add(t, socket, path)
			dir := written(t)
			out, err := commandWithAgent(t, socket, "ssh-keygen", "-q", "-Y", "sign", "-n", Namespace, "-f", path+"-cert.pub", filepath.Join(dir, SumsFile))
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			signers := allow(t, "ops1 cert-authority "+publicKey(t, authority+".pub"))
			stockErr := stock(t, dir, signers, "ops1")
			_, err = ours(t, dir, signers, "ops1")
			switch want {
			case "", "restricts logins":
				must(t, stockErr)
				must(t, err)
				return
			case "names nobody at all":
				want = "names nobody"
			}
			wantError(t, err, want)
			if stockErr == nil {
				t.Error("ssh-keygen accepts it")
			}
		})
	}
}

// A certificate that nobody signed for is found out, though its key signs well.
func TestVerify_forgedCertificate(t *testing.T) {
	authority, path := makeKey(t, "-t", "ed25519"), makeKey(t, "-t", "ed25519")
	mustRun(t, "ssh-keygen", "-q", "-s", authority, "-I", "x", "-n", "guest", path+".pub")
	public, err := readPublicKey(path + "-cert.pub")
	must(t, err)
	cert := public.(*ssh.Certificate)
	cert.ValidPrincipals = []string{"ops1"}
	k, err := ReadKey(path)
	must(t, err)
	s, err := k.Signer(t.Context(), nil)
	must(t, err)
	dir := written(t)
	_, err = Sign(t.Context(), dir, asCertificate{s, cert})
	must(t, err)
	signers := allow(t, "ops1 cert-authority "+publicKey(t, authority+".pub"))
	_, err = ours(t, dir, signers, "ops1")
	wantError(t, err, "signature does not verify")
	if stock(t, dir, signers, "ops1") == nil {
		t.Error("ssh-keygen accepts it")
	}
}

// asCertificate signs with a plain key and shows its certificate.
type asCertificate struct {
	Signer
	cert *ssh.Certificate
}

func (a asCertificate) PublicKey() ssh.PublicKey { return a.cert }

// A signer that uses SHA-1 is found out before anything is written: ssh-keygen
// would refuse the report.
func TestSign_refusesSHA1(t *testing.T) {
	authority, path := makeKey(t, "-t", "ed25519"), makeKey(t, "-t", "rsa", "-b", "2048")
	mustRun(t, "ssh-keygen", "-q", "-s", authority, "-I", "x", "-n", "ops1", path+".pub")
	public, err := readPublicKey(path + "-cert.pub")
	must(t, err)
	private, err := ssh.ParsePrivateKey([]byte(publicKey(t, path) + "\n"))
	must(t, err)
	dir := written(t)
	_, err = Sign(t.Context(), dir, asCertificate{old{private}, public.(*ssh.Certificate)})
	wantError(t, err, "ssh-rsa", "proves nothing")
	if exists(filepath.Join(dir, SignatureFile)) {
		t.Error("there is a signature")
	}
}

// old signs with SHA-1.
type old struct{ ssh.Signer }

func (o old) Sign(_ context.Context, data []byte) (*ssh.Signature, error) {
	return o.Signer.Sign(nil, data)
}
