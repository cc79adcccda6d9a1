package report

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comeback/recovery"
)

var (
	aPlan       = digest([]byte("a plan"))
	anotherPlan = digest([]byte("another plan"))
)

// approve signs a plan's digest with the key in a file, as comeback does.
func approve(t testing.TB, path, plan string) string {
	t.Helper()
	k, err := ReadKey(path)
	must(t, err)
	s, err := k.Signer(t.Context(), nil)
	must(t, err)
	armored, err := SignApproval(t.Context(), plan, s)
	must(t, err)
	return armored
}

// keygenSign has ssh-keygen sign a text.
func keygenSign(t testing.TB, path, namespace, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "message")
	must(t, os.WriteFile(file, []byte(text), 0o600))
	mustRun(t, "ssh-keygen", "-q", "-Y", "sign", "-f", path, "-n", namespace, file)
	b, err := os.ReadFile(file + ".sig")
	must(t, err)
	return string(b)
}

// An approval that comeback makes, ssh-keygen accepts, and the other way.
func TestApproval_bothWays(t *testing.T) {
	for name, args := range map[string][]string{
		"ed25519": {"-t", "ed25519"},
		"ecdsa":   {"-t", "ecdsa", "-b", "256"},
		"rsa":     {"-t", "rsa", "-b", "2048"},
	} {
		t.Run(name, func(t *testing.T) {
			path := makeKey(t, args...)
			public := publicKey(t, path+".pub")
			ours := approve(t, path, aPlan)
			dir := t.TempDir()
			message, sig := filepath.Join(dir, "digest"), filepath.Join(dir, "approval.sig")
			must(t, os.WriteFile(message, []byte(aPlan+"\n"), 0o600))
			must(t, os.WriteFile(sig, []byte(ours), 0o600))
			if out, err := command(t, dir, message, "ssh-keygen", "-Y", "verify", "-f", allow(t, "lead "+public), "-I", "lead",
				"-n", "approval@comeback", "-s", sig); err != nil {
				t.Errorf("ssh-keygen does not accept ours: %v: %s", err, out)
			}
			for who, armored := range map[string]string{
				"ours":       ours,
				"ssh-keygen": keygenSign(t, path, "approval@comeback", aPlan+"\n"),
				"pasted":     "\n  " + strings.TrimSpace(ours) + "\n\n",
			} {
				got, err := VerifyApproval(public, aPlan, armored)
				if err != nil || got != fingerprint(t, path) {
					t.Errorf("%s: %q, %v", who, got, err)
				}
			}
		})
	}
}

func TestVerifyApproval_refuses(t *testing.T) {
	path, other := makeKey(t, "-t", "ed25519"), makeKey(t, "-t", "ed25519")
	public := publicKey(t, path+".pub")
	good := approve(t, path, aPlan)
	lines := strings.Split(good, "\n")
	lines[2] = strings.ToUpper(lines[2])
	for name, test := range map[string]struct {
		key, plan, armored string
		want               string
	}{
		"another key":        {public, aPlan, approve(t, other, aPlan), "the approver's key is " + fingerprint(t, path)},
		"another namespace":  {public, aPlan, keygenSign(t, path, "report@comeback", aPlan+"\n"), `made for "report@comeback"`},
		"another digest":     {public, anotherPlan, good, "not over the digest " + anotherPlan[:12]},
		"without a line end": {public, aPlan, keygenSign(t, path, "approval@comeback", aPlan), "not over the digest"},
		"nothing":            {public, aPlan, "", "not an SSH signature"},
		"garbage":            {public, aPlan, "lgtm", "not an SSH signature"},
		"a damaged one":      {public, aPlan, strings.Join(lines, "\n"), "signature"},
		"two":                {public, aPlan, good + good, "something else"},
		"no key":             {"", aPlan, good, "not a public key"},
		"a key that is none": {"ssh-ed25519 AAAA\x1b[31m…", aPlan, good, "not a public key"},
		"no digest":          {public, "", good, "not the digest of a plan"},
		"a digest in capitals": {public, strings.ToUpper(aPlan), good,
			"not the digest of a plan"},
	} {
		t.Run(name, func(t *testing.T) {
			fingerprint, err := VerifyApproval(test.key, test.plan, test.armored)
			wantError(t, err, test.want)
			if fingerprint != "" || recovery.HintOf(err) == "" || strings.Contains(recovery.HintOf(err), "\n") {
				t.Errorf("fingerprint %q, hint %q", fingerprint, recovery.HintOf(err))
			}
			if exit := recovery.ExitOf(err); exit != recovery.Refused && exit != recovery.Usage {
				t.Errorf("exit %d", exit)
			}
			if strings.Contains(err.Error(), "\x1b") {
				t.Errorf("%q speaks to the terminal", err)
			}
		})
	}
}

func TestSignApproval_signsDigestsOnly(t *testing.T) {
	k, err := ReadKey(makeKey(t, "-t", "ed25519"))
	must(t, err)
	s, err := k.Signer(t.Context(), nil)
	must(t, err)
	for _, plan := range []string{"", "yes", aPlan + "\n", aPlan[1:]} {
		_, err := SignApproval(t.Context(), plan, s)
		wantError(t, err, "not the digest of a plan")
	}
}

func FuzzVerifyApproval(f *testing.F) {
	f.Add("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEYFmhZ2gJn4C2cu6p20zhk/NGL2PHLrsnVmwzzNkLR9", aSignature)
	f.Add("", "")
	f.Add("ecdsa-sha2-nistp256 AAAA", "-----BEGIN SSH SIGNATURE-----\nU1NIU0lH\n-----END SSH SIGNATURE-----")
	f.Fuzz(func(t *testing.T, key, armored string) {
		if fingerprint, err := VerifyApproval(key, aPlan, armored); err == nil {
			t.Errorf("%q approves with %q as %s", key, armored, fingerprint)
		}
	})
}
