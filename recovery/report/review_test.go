package report

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comeback/recovery"
)

// signerOf opens the key in a file.
func signerOf(t testing.TB, path string) Signer {
	t.Helper()
	k, err := ReadKey(path)
	must(t, err)
	s, err := k.Signer(t.Context(), nil)
	must(t, err)
	return s
}

// A second person accepts every exception, by number, with a key of their own; ssh-keygen
// and we verify it, and a changed byte shows.
func TestSignReview(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	must(t, os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "runs", "exceptions"))))
	must(t, filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error { return errors.Join(err, os.Chmod(path, 0o700)) }))
	operator, lead, other := makeKey(t, "-t", "ed25519"), makeKey(t, "-t", "ecdsa"), makeKey(t, "-t", "ed25519")
	refused := func(code recovery.Exit, key string, accepted []int, says ...string) {
		t.Helper()
		_, err := SignReview(t.Context(), dir, accepted, signerOf(t, key))
		wantError(t, err, says...)
		if got := recovery.ExitOf(err); got != code {
			t.Errorf("exit %d, want %d", got, code)
		}
	}
	r, err := Make(dir)
	must(t, err)
	var all []int
	for _, e := range r.Exceptions {
		all = append(all, e.Number)
	}
	if len(all) < 2 {
		t.Fatalf("the run has %d exceptions", len(all))
	}
	if _, err := SignReview(t.Context(), dir, all, signerOf(t, lead)); !errors.Is(err, ErrUnsigned) {
		t.Errorf("nothing is signed yet: %v", err)
	}
	signWith(t, dir, operator)
	refused(recovery.Refused, operator, all, "is signed with this key", fingerprint(t, operator))
	refused(recovery.Refused, lead, all[1:], "not accepted: 1")
	refused(recovery.Usage, lead, append(all, 99), "no exception 99")
	made, err := SignReview(t.Context(), dir, all, signerOf(t, lead))
	must(t, err)
	refused(recovery.Refused, lead, all, "has been reviewed with this key")
	_, err = SignReview(t.Context(), dir, all, signerOf(t, other))
	must(t, err)

	signers := allow(t, "ops1 "+publicKey(t, operator+".pub"), "lead "+publicKey(t, lead+".pub"))
	_, err = command(t, dir, filepath.Join(dir, SumsFile), "ssh-keygen", "-Y", "verify", "-f", signers, "-I", "lead", "-n", ReviewNamespace, "-s", made.File)
	must(t, err)
	v, err := ours(t, dir, signers, "ops1")
	must(t, err)
	if len(v.Reviews) != 2 || v.Reviews[0].Principal != "lead" || v.Reviews[0].Fingerprint != fingerprint(t, lead) || v.Reviews[1].Principal != "" ||
		v.Reviewed() != "reviewed by lead; reviewed by an unknown key, ED25519 "+fingerprint(t, other) {
		t.Errorf("%+v: %s", v.Reviews, v.Reviewed())
	}

	// The same person with another key is not a second one.
	_, err = ours(t, dir, allow(t, "ops1 "+publicKey(t, operator+".pub"), "ops1 "+publicKey(t, lead+".pub")), "ops1")
	wantError(t, err, made.File, "the person who signed")
	b, err := os.ReadFile(filepath.Join(dir, made.File))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, made.File), []byte(strings.Replace(string(b), "\nU1NIU0lH", "\nU1NIU0lI", 1)), 0o600))
	_, err = ours(t, dir, signers, "ops1")
	wantError(t, err, made.File)
}
