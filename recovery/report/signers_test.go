package report

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// Every list says the same to ssh-keygen and to us.
func TestAllowedSigners_agreesWithSshKeygen(t *testing.T) {
	dir, path := written(t), makeKey(t, "-t", "ed25519")
	signWith(t, dir, path)
	key := publicKey(t, path+".pub")
	kind, blob, _ := strings.Cut(key, " ")
	accepted, refused := 0, 0
	for _, line := range []string{
		"ops1 KEY",
		"ops1\tKEY",
		"  ops1   KEY",
		"ops1 KEY and a comment",
		"ops1,lead KEY",
		"lead,ops1 KEY",
		"lead, ops1 KEY",
		"OPS1 KEY",
		`"ops1" KEY`,
		`"ops1,lead" KEY`,
		`"lead ops1",ops1 KEY`,
		`op"s1" KEY`,
		`"ops1 KEY`,
		"ops? KEY", "ops?? KEY", "o*1 KEY", "* KEY", "*,!lead KEY", "!ops1,* KEY", "*,!ops* KEY", "!lead KEY", ", KEY", "ops1, KEY", "**1 KEY", "o*s*1 KEY", "o*x KEY",
		"# ops1 KEY", "ops1", "ops1 ", "KEY",
		`ops1 namespaces="report@comeback" KEY`,
		`ops1 NAMESPACES="report@comeback" KEY`,
		`ops1 namespaces="*" KEY`,
		`ops1 namespaces="" KEY`,
		`ops1 namespaces="*,!report@comeback" KEY`,
		`ops1 namespaces="file" KEY`,
		`ops1 namespaces="a b,report@comeback" KEY`,
		`ops1 namespaces="a\"b,report@comeback" KEY`,
		`ops1 namespaces="report@comeback",namespaces="file" KEY`,
		`ops1 namespaces=report@comeback KEY`,
		`ops1 namespaces KEY`,
		`ops1 namespaces="report@comeback KEY`,
		`ops1 namespaces="report@comeback", KEY`,
		`ops1 namespaces="report@comeback"x KEY`,
		`ops1 namespaces="report@comeback" , KEY`,
		`ops1 cert-authority KEY`,
		`ops1 cert-authority="yes" KEY`,
		`ops1 no-touch-required KEY`,
		`ops1 ,cert-authority KEY`,
		`ops1 valid-after="20200101" KEY`,
		`ops1 valid-after="20200101Z" KEY`,
		`ops1 valid-after="20200101utc" KEY`,
		`ops1 valid-after="202001010203" KEY`,
		`ops1 valid-after="20200101020304z" KEY`,
		`ops1 valid-after="20990101" KEY`,
		`ops1 valid-before="20990101" KEY`,
		`ops1 valid-before="20200101" KEY`,
		`ops1 valid-before="2020" KEY`,
		`ops1 valid-before="20991301" KEY`,
		`ops1 valid-before="20990199" KEY`,
		`ops1 valid-before="209901019" KEY`,
		`ops1 valid-before="" KEY`,
		`ops1 valid-after="20990101",valid-before="20200101" KEY`,
		`ops1 valid-after="20200101",valid-before="20990101" KEY`,
		`ops1 valid-after="20200101" valid-before="20990101" KEY`,
		`ops1 valid-after="20200101",namespaces="*@comeback" KEY`,
		"ops1 " + kind,
		"ops1 " + blob,
		"ops1 ssh-rsa " + strings.Fields(blob)[0],
		"ops1 " + kind + " " + strings.Fields(blob)[0][:40],
		"ops1 " + kind + "  " + blob,
		"broken line\nops1 KEY",
		"lead KEY\nops1 KEY",
		`ops1 namespaces="file" KEY` + "\nops1 KEY",
		"ops1 KEY\r",
		"\r\nops1 KEY\r\n",
	} {
		line = strings.ReplaceAll(line, "KEY", key)
		signers := allow(t, line)
		stockErr := stock(t, dir, signers, "ops1")
		v, oursErr := ours(t, dir, signers, "ops1")
		if (stockErr == nil) != (oursErr == nil) || v.Trusted() != (oursErr == nil) {
			t.Errorf("%s\nssh-keygen: %v\n     we: %v", line, stockErr, oursErr)
		}
		if oursErr == nil {
			accepted++
		} else {
			refused++
		}
	}
	if accepted < 20 || refused < 20 {
		t.Errorf("%d lists were accepted and %d refused: that shows little", accepted, refused)
	}
}

// Times without Z are of the reader's zone.
func TestAllowedSigners_zone(t *testing.T) {
	path := makeKey(t, "-t", "ed25519")
	key := publicKey(t, path+".pub")
	parsed, _, _, _, err := ssh.ParseAuthorizedKey([]byte(key))
	must(t, err)
	east := time.FixedZone("", 2*60*60)
	for _, test := range []struct {
		option string
		now    time.Time
		valid  bool
	}{
		{`valid-after="202611231300"`, time.Date(2026, 11, 23, 13, 0, 0, 0, east), true},
		{`valid-after="202611231300"`, time.Date(2026, 11, 23, 12, 59, 59, 0, east), false},
		{`valid-after="202611231300Z"`, time.Date(2026, 11, 23, 13, 0, 0, 0, east), false},
		{`valid-before="202611231300Z"`, time.Date(2026, 11, 23, 15, 0, 0, 5, east), true},
		{`valid-before="202611231300Z"`, time.Date(2026, 11, 23, 15, 0, 1, 0, east), false},
	} {
		list, err := ParseAllowedSigners("list", strings.NewReader("ops1 "+test.option+" "+key))
		must(t, err)
		if _, err = list.find(parsed, "ops1", Namespace, test.now); (err == nil) != test.valid {
			t.Errorf("%s at %v: %v", test.option, test.now, err)
		}
	}
}

func TestAllowedSigner_writesWhatSshKeygenReads(t *testing.T) {
	dir, path := written(t), makeKey(t, "-t", "ed25519")
	signWith(t, dir, path)
	k, err := ReadKey(path)
	must(t, err)
	line, err := AllowedSigner("ops1@bastion", k)
	must(t, err)
	signers := allow(t, strings.TrimSpace(line))
	must(t, stock(t, dir, signers, "ops1@bastion"))
	_, err = ours(t, dir, signers, "ops1@bastion")
	must(t, err)
	for _, name := range []string{"", "a b", "a,b", "*", `"x"`, "#x", "!x", "x\n"} {
		if line, err := AllowedSigner(name, k); err == nil {
			t.Errorf("%q gives %q", name, line)
		}
	}
}

func TestReadAllowedSigners_refuses(t *testing.T) {
	_, err := ReadAllowedSigners(filepath.Join(t.TempDir(), "nowhere"))
	wantError(t, err, "nowhere")
	long := filepath.Join(t.TempDir(), "long")
	must(t, os.WriteFile(long, []byte(strings.Repeat("x", maxSignerLine+1)), 0o600))
	_, err = ReadAllowedSigners(long)
	wantError(t, err, long)
}

func FuzzAllowedSigners(f *testing.F) {
	const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE6lRwxEgbsUmnZHuhbnOJUd1K7hoGjYvAjaXQ5wtGGf"
	for _, line := range []string{"ops1 " + key, `"a,b" namespaces="x\"y",valid-after="20200101Z" ` + key, "* cert-authority " + key,
		`ops1 valid-before="20200101",cert-authority ` + key + " comment", "#", "\x00", `"`, "a =", `a ="`, "a ,,"} {
		f.Add(line)
	}
	parsed, _, _, _, err := ssh.ParseAuthorizedKey([]byte(key))
	must(f, err)
	f.Fuzz(func(t *testing.T, list string) {
		a, err := ParseAllowedSigners("list", strings.NewReader(list))
		if err != nil {
			return
		}
		principal, err := a.find(parsed, "ops1", Namespace, noon)
		if err == nil && (principal != "ops1" || !strings.Contains(list, key[12:])) {
			t.Errorf("%q allows %q", list, principal)
		}
		if err != nil && principal != "" {
			t.Errorf("%q: %q and %v", list, principal, err)
		}
	})
}

func FuzzMatchPattern(f *testing.F) {
	f.Add("ops1", "o*1")
	f.Add("aaaaaaaaaaaaaaaaaaaaaaaab", "a*a*a*a*a*a*a*c")
	f.Fuzz(func(t *testing.T, name, pattern string) {
		if !matchPattern(name, "*") || !matchPattern(name, strings.Repeat("?", len(name))) {
			t.Errorf("%q does not match what matches all", name)
		}
		if !strings.ContainsAny(pattern, "*?") && matchPattern(name, pattern) != (name == pattern) {
			t.Errorf("%q, %q", name, pattern)
		}
		if matchPattern(name, pattern) && !matchPattern(name+"x", pattern+"*") {
			t.Errorf("%q matches %q, and not with more", name, pattern)
		}
	})
}
