package report

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
)

// A changed byte anywhere fails, with us and with ssh-keygen and sha256sum, and
// we name the file.
func TestVerify_everyChangedByte(t *testing.T) {
	dir, signers := signed(t)
	must(t, stock(t, dir, signers, "ops1"))
	files := append([]string{SumsFile, "artifacts/database-restore.log"}, documents...)
	for _, name := range files {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, filepath.FromSlash(name))
			whole, err := os.ReadFile(path)
			must(t, err)
			defer func() { must(t, os.WriteFile(path, whole, 0o600)) }()
			spoil := func(how string, changed []byte) {
				must(t, os.WriteFile(path, changed, 0o600))
				if stock(t, dir, signers, "ops1") == nil {
					t.Errorf("%s: ssh-keygen and sha256sum accept it", how)
				}
				v, err := ours(t, dir, signers, "ops1")
				wantError(t, err, name)
				if v.Trusted() {
					t.Errorf("%s: it is trusted all the same", how)
				}
			}
			// The first and the last bytes, and some in between.
			for i := range 12 {
				at := i * (len(whole) - 1) / 11
				for _, bit := range []byte{1, 0x80} {
					changed := append([]byte{}, whole...)
					changed[at] ^= bit
					if i%4 == 0 || bit == 1 {
						spoil("a flipped bit", changed)
					}
				}
			}
			spoil("a byte more", append(append([]byte{}, whole...), '\n'))
			spoil("a byte less", whole[:len(whole)-1])
			spoil("nothing", nil)
		})
	}
	_, err := ours(t, dir, signers, "ops1")
	must(t, err)
}

func TestVerify_directory(t *testing.T) {
	tests := map[string]struct {
		spoil func(dir string) error
		want  []string
	}{
		"a file was added":         {func(dir string) error { return os.WriteFile(filepath.Join(dir, "note.txt"), nil, 0o600) }, []string{"note.txt", "added"}},
		"an artifact was added":    {func(dir string) error { return os.WriteFile(filepath.Join(dir, "artifacts/x.log"), nil, 0o600) }, []string{"artifacts/x.log", "added"}},
		"a document is missing":    {func(dir string) error { return os.Remove(filepath.Join(dir, PlanFile)) }, []string{PlanFile, "missing"}},
		"an artifact is missing":   {func(dir string) error { return os.RemoveAll(filepath.Join(dir, "artifacts")) }, []string{"artifacts/database-restore.log", "missing"}},
		"a document became a link": {link(RunbookFile), []string{RunbookFile, "not a regular file"}},
		"a link was added":         {func(dir string) error { return os.Symlink("/etc/passwd", filepath.Join(dir, "x")) }, []string{"x", "not a regular file"}},
		"SHA256SUMS is missing":    {func(dir string) error { return os.Remove(filepath.Join(dir, SumsFile)) }, []string{SumsFile, "missing"}},
		"no signature in its file": {func(dir string) error { return os.WriteFile(filepath.Join(dir, SignatureFile), []byte("x"), 0o600) }, []string{SignatureFile, "not an SSH signature"}},
		"text after the signature": {func(dir string) error {
			f, err := os.OpenFile(filepath.Join(dir, SignatureFile), os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = f.WriteString("signed by the whole board\n")
			return err
		}, []string{SignatureFile, "something else"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir, signers := signed(t)
			must(t, test.spoil(dir))
			v, err := ours(t, dir, signers, "ops1")
			wantError(t, err, test.want...)
			if v.Trusted() {
				t.Error("it is trusted all the same")
			}
			if recovery.HintOf(err) == "" {
				t.Errorf("%v has no hint", err)
			}
		})
	}
	t.Run("what helps to verify may lie beside", func(t *testing.T) {
		dir, signers := signed(t)
		for _, name := range []string{"allowed_signers", "identity"} {
			must(t, os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600))
		}
		_, err := ours(t, dir, signers, "ops1")
		must(t, err)
	})
}

func link(name string) func(string) error {
	return func(dir string) error {
		if err := os.Rename(filepath.Join(dir, name), filepath.Join(dir, "..", name)); err != nil {
			return err
		}
		return os.Symlink(filepath.Join("..", name), filepath.Join(dir, name))
	}
}

func TestVerify_signer(t *testing.T) {
	dir, path := written(t), makeKey(t, "-t", "ed25519")
	signWith(t, dir, path)
	key, other := publicKey(t, path+".pub"), publicKey(t, makeKey(t, "-t", "ed25519")+".pub")
	tests := map[string]struct {
		lines    []string
		identity string
		trusted  bool
		want     string
	}{
		"the signer":            {[]string{"ops1 " + key}, "ops1", true, ""},
		"among others":          {[]string{"# ours", "", "lead " + other, "ops1 " + key}, "ops1", true, ""},
		"of our domain":         {[]string{"*@example.com " + key}, "ops1@example.com", true, ""},
		"for reports":           {[]string{`ops1 namespaces="file,report@comeback" ` + key}, "ops1", true, ""},
		"for any of ours":       {[]string{`ops1 namespaces="*@comeback" ` + key}, "ops1", true, ""},
		"valid until later":     {[]string{`ops1 valid-after="20200101",valid-before="21000101" ` + key}, "ops1", true, ""},
		"someone else":          {[]string{"ops1 " + other}, "ops1", false, "does not allow"},
		"someone else's name":   {[]string{"ops1 " + other, "lead " + key}, "ops1", false, "as ops1"},
		"nobody":                {[]string{"# nobody"}, "ops1", false, "does not allow"},
		"for plans only":        {[]string{`ops1 namespaces="approval@comeback" ` + key}, "ops1", false, "approval@comeback"},
		"not any more":          {[]string{`ops1 valid-before="20200101" ` + key}, "ops1", false, "2020-01-01"},
		"not yet":               {[]string{`ops1 valid-after="20990101" ` + key}, "ops1", false, "2099-01-01"},
		"an authority only":     {[]string{"ops1 cert-authority " + key}, "ops1", false, "does not allow"},
		"all but this one":      {[]string{"*,!ops1 " + key}, "ops1", false, "does not allow"},
		"a line that is broken": {[]string{`ops1 namespace="report@comeback" ` + key}, "ops1", false, "line 1"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			signers := allow(t, test.lines...)
			v, err := ours(t, dir, signers, test.identity)
			if test.trusted {
				must(t, err)
				if v.Principal != test.identity || !strings.Contains(v.String(), "signed by "+test.identity) {
					t.Errorf("%s", v)
				}
			} else {
				wantError(t, err, test.want, fingerprint(t, path))
			}
			if v.Trusted() != test.trusted {
				t.Errorf("trusted %v", v.Trusted())
			}
			if err := stock(t, dir, signers, test.identity); (err == nil) != test.trusted {
				t.Errorf("ssh-keygen says otherwise: %v", err)
			}
		})
	}
	t.Run("without a list", func(t *testing.T) {
		must(t, os.WriteFile(filepath.Join(dir, "allowed_signers"), []byte("ops1 "+key+"\n"), 0o600))
		v, err := Verify(dir, VerifyOptions{Now: time.Now()})
		must(t, err)
		if v.Trusted() || !strings.HasPrefix(v.String(), "intact, signer unknown") || v.Signature.Fingerprint != fingerprint(t, path) {
			t.Errorf("%s", v)
		}
	})
	t.Run("a key of this host", func(t *testing.T) {
		o := VerifyOptions{Now: time.Now(), Own: map[string]bool{fingerprint(t, path): true}}
		for _, verify := range []func(string, VerifyOptions) (Verification, error){Verify, SignedBy} {
			v, err := verify(dir, o)
			must(t, err)
			if !v.Known() || v.Trusted() || !strings.HasPrefix(v.String(), "intact, signed with a key of this host") {
				t.Errorf("%s", v)
			}
		}
	})
	t.Run("a key of this host that the list does not name", func(t *testing.T) {
		list, err := ReadAllowedSigners(allow(t, "ops2 "+publicKey(t, makeKey(t, "-t", "ed25519")+".pub")))
		must(t, err)
		o := VerifyOptions{AllowedSigners: list, LetUnknown: true, Now: time.Now(), Own: map[string]bool{fingerprint(t, path): true}}
		v, err := Verify(dir, o)
		must(t, err)
		if e := Export("7c31", dir, o); v.Unknown == nil || !e.Known || e.Signature != v.String()+"; "+v.Unknown.Error() || !strings.HasPrefix(e.Signature, "intact, signed with a key of this host") {
			t.Errorf("%s, and the list says %v", e.Signature, v.Unknown)
		}
	})
	t.Run("a key of this host that the list refuses", func(t *testing.T) {
		list, err := ReadAllowedSigners(allow(t, `ops1 valid-before="20200101" `+key))
		must(t, err)
		o := VerifyOptions{AllowedSigners: list, LetUnknown: true, Now: time.Now(), Own: map[string]bool{fingerprint(t, path): true}}
		fetched, err := Verify(dir, o)
		must(t, err)
		o.Here = true
		here, err := Verify(dir, o)
		must(t, err)
		if fetched.Known() || !strings.HasPrefix(fetched.String(), "intact, signer unknown") || !here.Known() {
			t.Errorf("fetched: %s; here: %s", fetched, here)
		}
	})
	t.Run("a list that names others leaves the signer unknown, and its line makes him known", func(t *testing.T) {
		list, err := ReadAllowedSigners(allow(t, "ops2 "+publicKey(t, makeKey(t, "-t", "ed25519")+".pub")))
		must(t, err)
		v, err := Verify(dir, VerifyOptions{AllowedSigners: list, LetUnknown: true, Now: time.Now()})
		must(t, err)
		if v.Known() || !strings.HasPrefix(v.String(), "intact, signer unknown") || v.Unknown == nil {
			t.Errorf("%s: %v", v, v.Unknown)
		}
		for name, identity := range map[string]string{"ci@ci7": "ci@ci7", "no, name": "signer"} {
			signers := allow(t, v.SignerLine(name))
			must(t, stock(t, dir, signers, identity))
			if now, err := ours(t, dir, signers, identity); err != nil || !now.Known() {
				t.Errorf("with %q: %v", v.SignerLine(name), err)
			}
		}
	})
	t.Run("without a name", func(t *testing.T) {
		v, err := ours(t, dir, allow(t, "ops1@example.com "+key), "")
		must(t, err)
		if v.Principal != "ops1@example.com" {
			t.Errorf("%s", v)
		}
	})
	t.Run("without a time, nothing that ends is valid", func(t *testing.T) {
		list, err := ParseAllowedSigners("list", strings.NewReader(`ops1 valid-before="21000101" `+key))
		must(t, err)
		_, err = Verify(dir, VerifyOptions{AllowedSigners: list})
		wantError(t, err, "time of the reading")
	})
	t.Run("at a time of the past", func(t *testing.T) {
		list, err := ParseAllowedSigners("list", strings.NewReader(`ops1 valid-before="20270101" `+key))
		must(t, err)
		v, err := Verify(dir, VerifyOptions{AllowedSigners: list, Now: noon})
		must(t, err)
		if !v.Trusted() {
			t.Errorf("%s", v)
		}
	})
}

func TestVerify_otherNamespace(t *testing.T) {
	for _, namespace := range []string{"file", ReviewNamespace} {
		dir, path := written(t), makeKey(t, "-t", "ed25519")
		mustRun(t, "ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f", path, filepath.Join(dir, SumsFile))
		signers := allow(t, "ops1 "+publicKey(t, path+".pub"))
		_, err := ours(t, dir, signers, "ops1")
		wantError(t, err, SumsFile, namespace, Namespace)
		if stock(t, dir, signers, "ops1") == nil {
			t.Error("ssh-keygen accepts it")
		}
	}
}

func TestVerify_unsigned(t *testing.T) {
	dir := written(t)
	v, err := Verify(dir, VerifyOptions{})
	if !errors.Is(err, ErrUnsigned) || v.Report == nil || v.Trusted() || !strings.Contains(v.String(), "not signed") {
		t.Errorf("%s, %v", v, err)
	}
	must(t, os.WriteFile(filepath.Join(dir, RunbookFile), []byte("x"), 0o600))
	_, err = Verify(dir, VerifyOptions{})
	wantError(t, err, RunbookFile)
}

// The holder of a key can sign anything, but not make the journal tell it.
func TestVerify_reportsThatLie(t *testing.T) {
	tests := map[string]struct {
		lie  func(t *testing.T, dir string)
		want []string
	}{
		"about a check":  {func(t *testing.T, dir string) { lie(t, dir, `"found": "48211"`, `"found": "98211"`) }, []string{JSONFile, "checks[0].found"}},
		"about a digest": {func(t *testing.T, dir string) { lie(t, dir, `"entries": 19`, `"entries": 18`) }, []string{JSONFile, "journal.entries"}},
		"by leaving out": {func(t *testing.T, dir string) {
			lie(t, dir, `  "says": "every step done`, `  "said": "every step done`)
		}, []string{JSONFile, "said"}},
		"in their spelling": {func(t *testing.T, dir string) { lie(t, dir, `"system": "shop"`, `"system":  "shop"`) }, []string{JSONFile}},
		"to human readers": {func(t *testing.T, dir string) {
			b, err := os.ReadFile(filepath.Join(dir, MarkdownFile))
			must(t, err)
			changed := []byte(strings.Replace(string(b), "48211", "98211", 1))
			must(t, os.WriteFile(filepath.Join(dir, MarkdownFile), changed, 0o600))
			resum(t, dir, MarkdownFile, digest(b), digest(changed))
		}, []string{MarkdownFile}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir, path := written(t), makeKey(t, "-t", "ed25519")
			test.lie(t, dir)
			mustRun(t, "ssh-keygen", "-q", "-Y", "sign", "-n", Namespace, "-f", path, filepath.Join(dir, SumsFile))
			signers := allow(t, "ops1 "+publicKey(t, path+".pub"))
			v, err := ours(t, dir, signers, "ops1")
			wantError(t, err, append(test.want, "does not say")...)
			if v.Trusted() {
				t.Error("it is trusted all the same")
			}
		})
	}
}

func TestParseSums(t *testing.T) {
	good := string(formatSums([]Sum{{JSONFile, digest(nil)}, {MarkdownFile, digest(nil)}, {journalFile, digest(nil)},
		{PlanFile, digest(nil)}, {RunbookFile, digest(nil)}, {"artifacts/a b.log", digest(nil)}}))
	sums, err := parseSums([]byte(good))
	must(t, err)
	if string(formatSums(sums)) != good {
		t.Error("it reads what it did not write")
	}
	for name, bad := range map[string]string{
		"no end":             strings.TrimSuffix(good, "\n"),
		"an empty line":      good + "\n",
		"twice":              good + digest(nil) + "  plan.json\n",
		"a parent":           good + digest(nil) + "  artifacts/../../x\n",
		"absolute":           good + digest(nil) + "  /etc/passwd\n",
		"a dot":              good + digest(nil) + "  ./plan.json\n",
		"another file":       good + digest(nil) + "  allowed_signers\n",
		"itself":             good + digest(nil) + "  SHA256SUMS\n",
		"binary mode":        strings.Replace(good, "  plan", " *plan", 1),
		"an escape":          good + `\` + digest(nil) + `  artifacts/a\nb` + "\n",
		"capitals":           strings.ToUpper(good[:64]) + good[64:],
		"a short digest":     good[1:],
		"a document less":    good[strings.Index(good, "\n")+1:],
		"nothing":            "",
		"a carriage return":  strings.ReplaceAll(good, "\n", "\r\n"),
		"a control sequence": good + digest(nil) + "  artifacts/\x1b[2J\n",
	} {
		if _, err := parseSums([]byte(bad)); err == nil {
			t.Errorf("%s: accepted", name)
		} else {
			wantError(t, err, SumsFile)
		}
	}
}

func FuzzParseSums(f *testing.F) {
	f.Add([]byte(strings.Repeat("0", 64) + "  plan.json\n"))
	f.Add([]byte("\\" + strings.Repeat("a", 64) + "  artifacts/\\n\n"))
	var all []Sum
	for _, name := range documents {
		all = append(all, Sum{name, digest(nil)})
	}
	f.Add(formatSums(append(all, Sum{"artifacts/x", digest(nil)})))
	f.Fuzz(func(t *testing.T, b []byte) {
		sums, err := parseSums(b)
		if err != nil {
			return
		}
		if string(formatSums(sums)) != string(b) {
			t.Errorf("%q reads as %q", b, formatSums(sums))
		}
		for _, s := range sums {
			if !filepath.IsLocal(s.Name) {
				t.Errorf("%q leads out of the directory", s.Name)
			}
		}
	})
}

func FuzzParseSignature(f *testing.F) {
	f.Add([]byte("-----BEGIN SSH SIGNATURE-----\nU1NIU0lH\n-----END SSH SIGNATURE-----\n"))
	f.Add([]byte("-----BEGIN SSH SIGNATURE-----\nHeader: x\n\nU1NIU0lH\n-----END SSH SIGNATURE-----\n"))
	f.Add([]byte(aSignature))
	f.Fuzz(func(t *testing.T, b []byte) {
		sig, err := parseSignature(b)
		if err != nil {
			return
		}
		describeSignature(sig, SignatureFile)
		if checkSignature(sig, []byte("not what was signed"), sig.Namespace) == nil {
			t.Errorf("%q verifies a message that it did not sign", b)
		}
	})
}

// aSignature is one by ssh-keygen over "hello\n".
const aSignature = `-----BEGIN SSH SIGNATURE-----
U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAgRgWaFnaAmfgLZy7qnbTOGT80Xv
Y8cuuydWbDPM2QtH0AAAAPcmVwb3J0QGNvbWViYWNrAAAAAAAAAAZzaGE1MTIAAABTAAAA
C3NzaC1lZDI1NTE5AAAAQB55CB4h9G9kbcqF1AsLICyZRwaSA1RGpAAkzmhniEVEYz+OSe
dKJ1zC/Y/0HjPNoPqsP+FXBooOr3fxat//hA4=
-----END SSH SIGNATURE-----
`
