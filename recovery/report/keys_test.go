package report

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
)

func TestFindKeys(t *testing.T) {
	home, socket := t.TempDir(), startAgent(t)
	must(t, os.Mkdir(filepath.Join(home, ".ssh"), 0o700))
	inHome := func(name string, args ...string) string {
		from, to := makeKey(t, args...), filepath.Join(home, ".ssh", name)
		must(t, os.Rename(from, to))
		must(t, os.Rename(from+".pub", to+".pub"))
		return to
	}
	ed, rsa := inHome("id_ed25519", "-t", "ed25519"), inHome("id_rsa", "-t", "rsa", "-b", "2048", "-N", "open sesame")
	inHome("id_unusual", "-t", "ed25519")
	other := makeKey(t, "-t", "ecdsa")
	add(t, socket, other)
	add(t, socket, ed)

	keys, err := FindKeys(t.Context(), environment(map[string]string{"SSH_AUTH_SOCK": socket, "HOME": home}))
	must(t, err)
	var found []string
	for _, k := range keys {
		found = append(found, k.Type+" "+k.Fingerprint+" "+k.Path)
	}
	want := []string{"ECDSA " + fingerprint(t, other) + " ", "ED25519 " + fingerprint(t, ed) + " ", "RSA " + fingerprint(t, rsa) + " " + rsa}
	if strings.Join(found, "\n") != strings.Join(want, "\n") {
		t.Errorf("found\n%s\nwant\n%s", strings.Join(found, "\n"), strings.Join(want, "\n"))
	}
	if s := keys[2].String(); !strings.Contains(s, "passphrase") || !strings.Contains(s, rsa) {
		t.Errorf("%s", s)
	}

	t.Run("an agent that is gone is told, files are found", func(t *testing.T) {
		keys, err := FindKeys(t.Context(), environment(map[string]string{"SSH_AUTH_SOCK": filepath.Join(home, "gone"), "HOME": home}))
		wantError(t, err, "ssh-agent")
		if len(keys) != 2 {
			t.Errorf("found %v", keys)
		}
	})
	t.Run("nothing anywhere", func(t *testing.T) {
		keys, err := FindKeys(t.Context(), environment(map[string]string{"HOME": t.TempDir()}))
		if len(keys) != 0 || err != nil {
			t.Errorf("%v, %v", keys, err)
		}
	})
	t.Run("by the file of a public key", func(t *testing.T) {
		k, err := FindKey(t.Context(), environment(map[string]string{"SSH_AUTH_SOCK": socket}), other+".pub")
		must(t, err)
		if k.Path != "" || k.Fingerprint != fingerprint(t, other) {
			t.Errorf("%+v", k)
		}
	})
	t.Run("one that nobody holds", func(t *testing.T) {
		_, err := FindKey(t.Context(), environment(map[string]string{"SSH_AUTH_SOCK": socket}), makeKey(t, "-t", "ed25519")+".pub")
		wantError(t, err, "find key", ".pub")
	})
}

func TestReadKey_refuses(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, []byte(content), mode))
		return path
	}
	open := makeKey(t, "-t", "ed25519")
	must(t, os.Chmod(open, 0o640))
	tests := map[string]struct {
		path string
		want []string
	}{
		"a key that others can read": {open, []string{"0640", "others can read"}},
		"what is no key":             {file("text", "hello", 0o600), []string{"no private key"}},
		"a directory":                {dir, []string{"is not a file"}},
		"a public key":               {file("pub", publicKey(t, open+".pub"), 0o600), []string{"no private key"}},
		"half a key":                 {file("half", "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNz\n-----END OPENSSH PRIVATE KEY-----\n", 0o600), []string{"half"}},
		"encrypted PKCS 8":           {file("p8", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", 0o600), []string{"PKCS #8"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := ReadKey(test.path)
			wantError(t, err, test.want...)
			if recovery.HintOf(err) == "" {
				t.Errorf("%v has no hint", err)
			}
		})
	}
	if _, err := ReadKey(filepath.Join(dir, "nowhere")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

func TestCreateKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "key")
	k, err := CreateKey(path, "ops1 demo")
	must(t, err)
	for _, name := range []string{path, path + ".pub"} {
		info, err := os.Stat(name)
		must(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
	}
	if k.Fingerprint != fingerprint(t, path) || k.Type != "ED25519" {
		t.Errorf("%+v", k)
	}
	if out := mustRun(t, "ssh-keygen", "-y", "-P", "", "-f", path); !strings.Contains(out, "ops1 demo") {
		t.Errorf("ssh-keygen reads %q", out)
	}
	dir := written(t)
	checkSigned(t, dir, signWith(t, dir, path), path)

	before := publicKey(t, path)
	for _, name := range []string{path, filepath.Join(t.TempDir(), "key")} {
		if name != path {
			must(t, os.WriteFile(name+".pub", []byte("mine"), 0o600))
		}
		if _, err = CreateKey(name, "again"); !errors.Is(err, fs.ErrExist) {
			t.Errorf("error %v", err)
		}
		if name != path && exists(name) {
			t.Error("it made half a pair")
		}
	}
	if publicKey(t, path) != before {
		t.Error("the key changed")
	}
}

// An agent says no more than "failure"; a person needs to know what to do.
func TestAgent_refusal(t *testing.T) {
	socket := startAgent(t)
	add(t, socket, "-c", makeKey(t, "-t", "ed25519")) // asks, and nobody is there
	keys, err := FindKeys(t.Context(), environment(map[string]string{"SSH_AUTH_SOCK": socket}))
	must(t, err)
	s, err := keys[0].Signer(t.Context(), nil)
	must(t, err)
	dir := written(t)
	_, err = Sign(t.Context(), dir, s)
	wantError(t, err, "refused", keys[0].Fingerprint)
	if hint := recovery.HintOf(err); !strings.Contains(hint, "ssh-add -c") || !strings.Contains(hint, "ssh-add -h") {
		t.Errorf("hint %q", hint)
	}
	if exists(filepath.Join(dir, SignatureFile)) {
		t.Error("there is a signature")
	}
}

// An agent that never answers holds up nobody whose context ends.
func TestAgent_silence(t *testing.T) {
	dir, err := os.MkdirTemp("", "agent")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	must(t, err)
	accepted := make(chan struct{})
	go func() {
		defer close(accepted)
		if conn, err := l.Accept(); err == nil {
			t.Cleanup(func() { conn.Close() })
		}
	}()
	t.Cleanup(func() { l.Close(); <-accepted })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err = FindKeys(ctx, environment(map[string]string{"SSH_AUTH_SOCK": filepath.Join(dir, "s")}))
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}
