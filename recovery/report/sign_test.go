package report

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/crypto/ssh"

	"comeback/durable"
	"comeback/recovery"
	"comeback/recovery/journal"
)

// What we sign, ssh-keygen and sha256sum accept, and so do we.
func TestSign_keyFiles(t *testing.T) {
	keys := map[string][]string{
		"ed25519":       {"-t", "ed25519"},
		"ecdsa 256":     {"-t", "ecdsa", "-b", "256"},
		"ecdsa 521":     {"-t", "ecdsa", "-b", "521"},
		"rsa":           {"-t", "rsa", "-b", "2048"},
		"rsa as PEM":    {"-t", "rsa", "-b", "2048", "-m", "PEM"},
		"ecdsa as PEM":  {"-t", "ecdsa", "-m", "PEM"},
		"rsa as PKCS 8": {"-t", "rsa", "-b", "2048", "-m", "PKCS8"},
	}
	for name, args := range keys {
		t.Run(name, func(t *testing.T) {
			dir, path := written(t), makeKey(t, args...)
			sig := signWith(t, dir, path)
			checkSigned(t, dir, sig, path)
		})
	}
	for name, args := range map[string][]string{"encrypted": {"-t", "ed25519"}, "encrypted PEM": {"-t", "rsa", "-b", "2048", "-m", "PEM"}} {
		t.Run(name, func(t *testing.T) {
			dir, path := written(t), makeKey(t, append(args, "-N", "open sesame")...)
			k, err := ReadKey(path)
			must(t, err)
			if !k.Encrypted || k.Fingerprint != fingerprint(t, path) {
				t.Errorf("key %+v", k)
			}
			_, err = k.Signer(t.Context(), nil)
			wantError(t, err, path, "encrypted")
			_, err = k.Signer(t.Context(), func(context.Context, Key) ([]byte, error) { return []byte("wrong"), nil })
			wantError(t, err, path, "passphrase", "wrong")
			gone := errors.New("nobody answers")
			if _, err = k.Signer(t.Context(), func(context.Context, Key) ([]byte, error) { return nil, gone }); !errors.Is(err, gone) {
				t.Errorf("error %v", err)
			}
			s, err := k.Signer(t.Context(), func(_ context.Context, asked Key) ([]byte, error) {
				if asked.Path != path {
					t.Errorf("asked for %s", asked.Path)
				}
				return []byte("open sesame"), nil
			})
			must(t, err)
			sig, err := Sign(t.Context(), dir, s)
			must(t, err)
			checkSigned(t, dir, sig, path)
		})
	}
}

// checkSigned verifies a run that the key in a file has signed, both ways.
func checkSigned(t *testing.T, dir string, sig Signature, path string) {
	t.Helper()
	signers := allow(t, "ops1 "+publicKey(t, path+".pub"))
	must(t, stock(t, dir, signers, "ops1"))
	v, err := ours(t, dir, signers, "ops1")
	must(t, err)
	if !v.Trusted() || v.Principal != "ops1" || v.Signature != sig || v.Signature.Fingerprint != fingerprint(t, path) {
		t.Errorf("verified %+v, signed %+v", v, sig)
	}
}

// fingerprint is what ssh-keygen prints.
func fingerprint(t testing.TB, path string) string {
	t.Helper()
	return strings.Fields(mustRun(t, "ssh-keygen", "-l", "-f", path+".pub"))[1]
}

func TestSign_agent(t *testing.T) {
	socket := startAgent(t)
	for _, args := range [][]string{{"-t", "ed25519"}, {"-t", "ecdsa"}, {"-t", "rsa", "-b", "2048"}} {
		t.Run(args[1], func(t *testing.T) {
			path := makeKey(t, args...)
			add(t, socket, path)
			k, err := FindKey(t.Context(), environment(map[string]string{"SSH_AUTH_SOCK": socket}), fingerprint(t, path))
			must(t, err)
			if k.Comment != "ops1@test" || k.Path != "" || k.FIDO || k.Certificate {
				t.Errorf("key %+v", k)
			}
			s, err := k.Signer(t.Context(), nil)
			must(t, err)
			dir := written(t)
			sig, err := Sign(t.Context(), dir, s)
			must(t, err)
			checkSigned(t, dir, sig, path)
		})
	}
}

// What ssh-keygen signs, we accept.
func TestSign_bySshKeygen(t *testing.T) {
	for _, args := range [][]string{{"-t", "ed25519"}, {"-t", "ecdsa"}, {"-t", "rsa", "-b", "2048"}} {
		for _, hash := range []string{"sha256", "sha512"} {
			t.Run(args[1]+" "+hash, func(t *testing.T) {
				dir, path := written(t), makeKey(t, args...)
				mustRun(t, "ssh-keygen", "-q", "-Y", "sign", "-n", Namespace, "-O", "hashalg="+hash, "-f", path, filepath.Join(dir, SumsFile))
				signers := allow(t, "ops1 "+publicKey(t, path+".pub"))
				v, err := ours(t, dir, signers, "ops1")
				must(t, err)
				if v.Principal != "ops1" || v.Signature.Fingerprint != fingerprint(t, path) {
					t.Errorf("%+v", v)
				}
			})
		}
	}
}

// A FIDO key's signature carries flags and a counter beside it; the device here
// is software, the verifier is ssh-keygen.
func TestSign_fido(t *testing.T) {
	dir, k := written(t), newSoftKey(t)
	d := describe(k.public)
	if !d.FIDO || d.Type != "ED25519-SK" || !strings.Contains(d.String(), "touch") {
		t.Errorf("key %+v", d)
	}
	_, err := Sign(t.Context(), dir, k)
	must(t, err)
	signers := allow(t, "ops1 "+marshalPublic(k.public))
	must(t, stock(t, dir, signers, "ops1"))
	_, err = ours(t, dir, signers, "ops1")
	must(t, err)
}

// softKey is what a FIDO device does for sk-ssh-ed25519.
type softKey struct {
	public  ssh.PublicKey
	private ed25519.PrivateKey
}

func newSoftKey(t *testing.T) softKey {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	must(t, err)
	p, err := ssh.ParsePublicKey(ssh.Marshal(struct {
		Type        string
		Key         []byte
		Application string
	}{ssh.KeyAlgoSKED25519, public, "ssh:"}))
	must(t, err)
	return softKey{p, private}
}

func (k softKey) PublicKey() ssh.PublicKey { return k.public }

func (k softKey) Sign(_ context.Context, data []byte) (*ssh.Signature, error) {
	application, message := sha256.Sum256([]byte("ssh:")), sha256.Sum256(data)
	rest := binary.BigEndian.AppendUint32([]byte{1}, 7) // touched, and a counter
	signed := append(append(application[:], rest...), message[:]...)
	return &ssh.Signature{Format: ssh.KeyAlgoSKED25519, Blob: ed25519.Sign(k.private, signed), Rest: rest}, nil
}

func TestSign_refuses(t *testing.T) {
	key := func(t *testing.T) Signer {
		k, err := ReadKey(makeKey(t, "-t", "ed25519"))
		must(t, err)
		s, err := k.Signer(t.Context(), nil)
		must(t, err)
		return s
	}
	t.Run("a run that has not ended", func(t *testing.T) {
		r := begin(t, shopPlan(recovery.Rehearsal))
		r.after(0, r.started())
		_, err := Sign(t.Context(), r.dir, key(t))
		wantError(t, err, "has not ended")
		if recovery.ExitOf(err) != recovery.NotEnded {
			t.Errorf("exit %d", recovery.ExitOf(err))
		}
	})
	t.Run("a report that is not written", func(t *testing.T) {
		_, err := Sign(t.Context(), passed(t, nil).dir, key(t))
		wantError(t, err, "not written")
	})
	t.Run("files that SHA256SUMS does not name so", func(t *testing.T) {
		dir := written(t)
		must(t, os.WriteFile(filepath.Join(dir, MarkdownFile), []byte("# all is well\n"), 0o600))
		_, err := Sign(t.Context(), dir, key(t))
		wantError(t, err, MarkdownFile, "changed")
	})
	t.Run("a report that lies", func(t *testing.T) {
		dir := written(t)
		lie(t, dir, `"found": "48211"`, `"found": "98211"`)
		_, err := Sign(t.Context(), dir, key(t))
		wantError(t, err, JSONFile, "checks[0].found", "98211", "48211")
	})
	t.Run("a second signature", func(t *testing.T) {
		dir, _ := signed(t)
		before := publicKey(t, filepath.Join(dir, SignatureFile))
		_, err := Sign(t.Context(), dir, key(t))
		wantError(t, err, "signed already", "SHA256:")
		if after := publicKey(t, filepath.Join(dir, SignatureFile)); after != before {
			t.Error("the signature changed")
		}
	})
	t.Run("a signature of something that changed meanwhile", func(t *testing.T) {
		dir := written(t)
		_, err := Sign(t.Context(), dir, meanwhile{key(t), func() {
			must(t, os.WriteFile(filepath.Join(dir, SumsFile), []byte("x\n"), 0o600))
		}})
		wantError(t, err, SumsFile, "changed while")
		if exists(filepath.Join(dir, SignatureFile)) {
			t.Error("the signature stays")
		}
	})
	t.Run("a second signature at the same time", func(t *testing.T) {
		dir := written(t)
		_, err := Sign(t.Context(), dir, meanwhile{key(t), func() {
			_, err := Sign(t.Context(), dir, key(t))
			must(t, err)
		}})
		wantError(t, err, "signed already")
	})
	t.Run("while somebody changes the journal", func(t *testing.T) {
		dir, signer := written(t), key(t)
		runs, err := durable.LockDir(filepath.Dir(dir))
		must(t, err)
		done := make(chan error, 1)
		go func() {
			_, err := Sign(t.Context(), dir, signer)
			done <- err
		}()
		for !awaited(t, runs) {
			select {
			case err := <-done:
				t.Fatalf("it did not wait: %v", err)
			default:
				runtime.Gosched()
			}
		}
		b, err := os.ReadFile(filepath.Join(dir, PlanFile))
		must(t, err)
		var p recovery.Plan
		must(t, json.Unmarshal(b, &p))
		j, _, err := journal.Open(filepath.Join(dir, journal.Name), p.Runbook.SHA256)
		must(t, err)
		e, err := recovery.NewEvent(noon, recovery.OutageNoted{How: "unknown", By: "ops1"})
		must(t, err)
		_, err = j.Append(e)
		must(t, errors.Join(err, j.Close()))
		must(t, runs.Close()) // as after a crash, before the report is written
		wantError(t, <-done, journal.Name, "changed")
		if exists(filepath.Join(dir, SignatureFile)) {
			t.Error("there is a signature")
		}
	})
	t.Run("to go on after its context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		dir := written(t)
		_, err := Sign(ctx, dir, waits{key(t), cancel})
		if !errors.Is(err, context.Canceled) || exists(filepath.Join(dir, SignatureFile)) {
			t.Errorf("error %v", err)
		}
	})
}

// awaited reports whether somebody waits for the lock of an open directory.
func awaited(t testing.TB, d *os.File) bool {
	t.Helper()
	info, err := d.Stat()
	must(t, err)
	locks, err := os.ReadFile("/proc/locks")
	must(t, err)
	of := fmt.Sprintf(":%d ", info.Sys().(*syscall.Stat_t).Ino)
	for line := range strings.Lines(string(locks)) {
		if strings.Contains(line, "-> FLOCK") && strings.Contains(line, of) {
			return true
		}
	}
	return false
}

// meanwhile does something while the key signs.
type meanwhile struct {
	Signer
	do func()
}

func (m meanwhile) Sign(ctx context.Context, data []byte) (*ssh.Signature, error) {
	m.do()
	return m.Signer.Sign(ctx, data)
}

// waits is a key whose owner hangs up.
type waits struct {
	Signer
	hangUp func()
}

func (w waits) Sign(ctx context.Context, _ []byte) (*ssh.Signature, error) {
	w.hangUp()
	<-ctx.Done()
	return nil, ctx.Err()
}

// lie changes report.json and makes SHA256SUMS agree, as whoever holds the key
// could.
func lie(t *testing.T, dir, old, new string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, JSONFile))
	must(t, err)
	changed := strings.Replace(string(b), old, new, 1)
	if changed == string(b) {
		t.Fatalf("%s does not hold %s", JSONFile, old)
	}
	must(t, os.WriteFile(filepath.Join(dir, JSONFile), []byte(changed), 0o600))
	resum(t, dir, JSONFile, digest(b), digest([]byte(changed)))
}

func resum(t *testing.T, dir, name, old, new string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, SumsFile))
	must(t, err)
	changed := strings.Replace(string(b), old+"  "+name, new+"  "+name, 1)
	if changed == string(b) {
		t.Fatalf("%s does not name %s with %s", SumsFile, name, old)
	}
	must(t, os.WriteFile(filepath.Join(dir, SumsFile), []byte(changed), 0o600))
}

// A report that ended unsigned is signed later, by another process, and is then
// not changed any more.
func TestWrite_afterSigning(t *testing.T) {
	run := passed(t, nil)
	_, err := Write(run.dir)
	must(t, err)
	run.after(0, recovery.Noted{Text: "all looked well", By: "ops1"})
	_, err = Write(run.dir)
	must(t, err)
	path := makeKey(t, "-t", "ed25519")
	signWith(t, run.dir, path)
	_, err = Write(run.dir)
	must(t, err)
	run.after(0, recovery.Noted{Text: "on second thoughts", By: "ops1"})
	_, err = Write(run.dir)
	wantError(t, err, "is signed", JSONFile)
	_, err = ours(t, run.dir, allow(t, "ops1 "+publicKey(t, path+".pub")), "ops1")
	wantError(t, err, journalFile, "changed")
}

// Who may read a run's journal may read what is signed of it: in a shared state the
// colleagues, in one's own nobody else.
func TestSign_readable(t *testing.T) {
	for name, mode := range map[string]os.FileMode{"shared": 0o640, "one's own": 0o600} {
		t.Run(name, func(t *testing.T) {
			dir := written(t)
			must(t, os.Chmod(filepath.Join(dir, journalFile), mode))
			signWith(t, dir, makeKey(t, "-t", "ed25519"))
			v, err := Verify(dir, VerifyOptions{})
			must(t, err)
			var all []int
			for _, e := range v.Report.Exceptions {
				all = append(all, e.Number)
			}
			review, err := SignReview(t.Context(), dir, all, signerOf(t, makeKey(t, "-t", "ed25519")))
			must(t, err)
			for _, file := range []string{SignatureFile, review.File} {
				info, err := os.Stat(filepath.Join(dir, file))
				must(t, err)
				if info.Mode() != mode {
					t.Errorf("%s is %v, and the journal %v", file, info.Mode(), mode)
				}
			}
			// One that was made elsewhere, too.
			armored, err := os.ReadFile(filepath.Join(dir, SignatureFile))
			must(t, err)
			must(t, os.Remove(filepath.Join(dir, SignatureFile)))
			_, err = Adopt(dir, armored)
			must(t, err)
			info, err := os.Stat(filepath.Join(dir, SignatureFile))
			must(t, err)
			if info.Mode() != mode {
				t.Errorf("adopted, it is %v, and the journal %v", info.Mode(), mode)
			}
		})
	}
}
