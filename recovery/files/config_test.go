package files_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"

	"comeback/enginetest"
	"comeback/recovery"
	"comeback/recovery/files"
)

// settings is a directory of configuration with a secret in it.
func settings(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "etc")
	for name, text := range map[string]string{"shop/shop.conf": "colour = green\n", "shop/secrets/db": theSecret + "\n", "other/not-this": "x"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(dir, "shop/secrets/db"), 0o400); err != nil {
		t.Fatal(err)
	}
	return dir
}

const theSecret = "hunter2-the-password-of-the-database"

func configEngine() recovery.Engine { return files.NewConfig(files.Options{}) }

// sshKey makes a key pair with ssh-keygen.
func sshKey(t testing.TB, passphrase string) (private, public string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-f", path).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	b, err := os.ReadFile(path + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	return path, strings.TrimSpace(string(b))
}

// Configuration comes back for an age identity, an SSH key and a passphrase,
// with its modes, and its values are nowhere but in the tree.
func TestConfig(t *testing.T) {
	etc := settings(t)
	shop := filepath.Join(etc, "shop")
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	identityFile := filepath.Join(t.TempDir(), "identity")
	if err := os.WriteFile(identityFile, []byte("# a comment\n"+identity.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	open, openPublic := sshKey(t, "")
	locked, lockedPublic := sshKey(t, "its passphrase")
	for name, test := range map[string]struct {
		recipients   []string
		passphrase   string
		settings     recovery.Settings
		environ      map[string]string
		says, secret string // of the refusal
	}{
		"an identity in a file":       {recipients: []string{identity.Recipient().String()}, settings: recovery.Settings{"identity": {identityFile}}},
		"an identity in a reference":  {recipients: []string{identity.Recipient().String(), openPublic}, settings: recovery.Settings{"identity": {"${KEY}"}}, environ: map[string]string{"KEY": identity.String()}},
		"a file in a reference":       {recipients: []string{identity.Recipient().String()}, settings: recovery.Settings{"identity": {"${KEY}"}}, environ: map[string]string{"KEY": identityFile}},
		"an SSH key":                  {recipients: []string{openPublic}, settings: recovery.Settings{"identity": {open}}},
		"an SSH key with passphrase":  {recipients: []string{lockedPublic}, settings: recovery.Settings{"identity": {locked}, "passphrase": {"${PASS}"}}, environ: map[string]string{"PASS": "its passphrase"}},
		"a passphrase":                {passphrase: "correct horse", settings: recovery.Settings{"passphrase": {"${PASS}"}}, environ: map[string]string{"PASS": "correct horse"}},
		"a wrong passphrase":          {passphrase: "correct horse", settings: recovery.Settings{"passphrase": {"${PASS}"}}, environ: map[string]string{"PASS": "wrong-horse"}, says: "cannot be decrypted", secret: "wrong-horse"},
		"another key":                 {recipients: []string{openPublic}, settings: recovery.Settings{"identity": {identityFile}}, says: "not encrypted for this identity"},
		"an SSH key without its word": {recipients: []string{lockedPublic}, settings: recovery.Settings{"identity": {locked}}, says: "has a passphrase"},
		"no key at all":               {recipients: []string{openPublic}, settings: recovery.Settings{"identity": {"${KEY}"}}, environ: map[string]string{"KEY": "rubbish-that-is-secret"}, says: "no age identity", secret: "rubbish-that-is-secret"},
	} {
		t.Run(name, func(t *testing.T) {
			seal, err := files.Sealer(test.recipients, test.passphrase)
			if err != nil {
				t.Fatal(err)
			}
			store := directory(t, nil)
			_, err = files.Capture(t.Context(), files.CaptureOptions{Dir: "/", Paths: []string{shop}, Store: store, Prefix: "config/", Seal: seal, Temp: t.TempDir(), Now: func() time.Time { return later(1) }})
			if err != nil {
				t.Fatal(err)
			}
			clear(t, strings.TrimPrefix(store.URL(), "file://"), "secrets", theSecret, "colour")
			c := recovery.Component{Name: "config", Kind: recovery.Config, Settings: test.settings}
			c.Settings["paths"] = []string{shop}
			o := options(t, configEngine(), c, store)
			o.Environ = test.environ
			var restored string
			var journal bytes.Buffer
			o.Event = func(e recovery.Event) { journal.Write(e.Data) }
			o.Probe = func(_ context.Context, env recovery.Env) error {
				dir, err := treeOf(env, "config")
				if err == nil {
					restored = describe(t, filepath.Join(dir, shop))
				}
				return err
			}
			end := enginetest.Restore(t, o)
			for _, secret := range []string{theSecret, "colour", test.secret} {
				if secret != "" && strings.Contains(journal.String(), secret) {
					t.Errorf("the journal holds %q", secret)
				}
			}
			if test.says != "" {
				if says, hint := enginetest.Failure(end); end.Result == recovery.ResultPassed || !strings.Contains(says, test.says) || hint == "" {
					t.Errorf("the run ended as %s: %s (%s)", end.Result, says, hint)
				}
				return
			}
			passed(t, end)
			if diff := cmp.Diff(describe(t, shop), restored); diff != "" {
				t.Error(diff)
			}
			if out := end.Steps[0].Outcome; out.Facts["files as live"] != "2" || len(out.Artifacts) == 0 {
				t.Errorf("the outcome is %+v", out)
			}
		})
	}
}

// What does not decrypt a backup is a wait in which the right value can be given. Where it
// comes from is said there, and neither value is recorded.
func TestConfig_givenAgain(t *testing.T) {
	shop := filepath.Join(settings(t), "shop")
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	old, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	locked, lockedPublic := sshKey(t, "its passphrase")
	inFile := filepath.Join(t.TempDir(), "identity")
	for name, test := range map[string]struct {
		recipients   []string
		passphrase   string
		settings     recovery.Settings
		given, typed map[string]string
		cause, hint  string
	}{
		"the key of before a rotation": {recipients: []string{identity.Recipient().String()}, settings: recovery.Settings{"identity": {"${KEY}"}},
			given: map[string]string{"KEY": old.String()}, typed: map[string]string{"KEY": identity.String()},
			cause: "cannot be decrypted with ${KEY}: it was not encrypted for this identity", hint: "give ${KEY} the identity of one of those"},
		"no key": {recipients: []string{identity.Recipient().String()}, settings: recovery.Settings{"identity": {"${KEY}"}},
			given: map[string]string{"KEY": "rubbish-that-is-secret"}, typed: map[string]string{"KEY": identity.String()},
			cause: "${KEY} holds no age identity", hint: "give ${KEY} an age identity"},
		"no file": {recipients: []string{identity.Recipient().String()}, settings: recovery.Settings{"identity": {"${KEY}"}},
			given: map[string]string{"KEY": "/nowhere/of-that-name"}, typed: map[string]string{"KEY": identity.String()},
			cause: "the file of ${KEY} cannot be read: no such file or directory", hint: "give ${KEY} an age identity"},
		"a passphrase": {passphrase: "correct horse", settings: recovery.Settings{"passphrase": {"${PASS}"}},
			given: map[string]string{"PASS": "wrong-horse"}, typed: map[string]string{"PASS": "correct horse"},
			cause: "cannot be decrypted with ${PASS}", hint: "give ${PASS} the right passphrase, then try again"},
		"that of an SSH key": {recipients: []string{lockedPublic}, settings: recovery.Settings{"identity": {locked}, "passphrase": {"${PASS}"}},
			given: map[string]string{"PASS": "wrong-horse"}, typed: map[string]string{"PASS": "its passphrase"},
			cause: "${PASS} is not the passphrase of the SSH key of " + locked, hint: "give ${PASS} the right passphrase, then try again"},
		"in a file": {recipients: []string{identity.Recipient().String()}, settings: recovery.Settings{"identity": {inFile}},
			cause: "cannot be decrypted with " + inFile, hint: "into " + inFile + ", then try again"},
	} {
		t.Run(name, func(t *testing.T) {
			seal, err := files.Sealer(test.recipients, test.passphrase)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(inFile, []byte(old.String()+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			store := directory(t, nil)
			if _, err := files.Capture(t.Context(), files.CaptureOptions{Dir: shop, Store: store, Prefix: "config/", Seal: seal, Temp: t.TempDir(), Now: func() time.Time { return later(1) }}); err != nil {
				t.Fatal(err)
			}
			c := recovery.Component{Name: "config", Kind: recovery.Config, Settings: test.settings}
			c.Settings["paths"] = []string{shop}
			o := options(t, configEngine(), c, store)
			var journal bytes.Buffer
			o.Environ, o.Typed = test.given, test.typed
			o.Event = func(e recovery.Event) { journal.Write(e.Data) }
			waits := 0
			o.Answer = func(st recovery.StepState) recovery.Choice {
				if waits++; st.WaitsFor != recovery.WaitCredentials || !strings.Contains(st.Error, test.cause) || !strings.Contains(st.Hint, test.hint) {
					t.Errorf("it waits for %s: %s (%s)", st.WaitsFor, st.Error, st.Hint)
				}
				if err := os.WriteFile(inFile, []byte(identity.String()+"\n"), 0o600); err != nil {
					t.Error(err)
				}
				if waits > 1 {
					return recovery.ChooseStop
				}
				return recovery.ChooseRetry
			}
			end, restored := restore(t, o)
			passed(t, end)
			if diff := cmp.Diff(describe(t, shop), restored); diff != "" || waits != 1 {
				t.Errorf("after %d waits: %s", waits, diff)
			}
			for _, values := range []map[string]string{test.given, test.typed} {
				for _, value := range values {
					if strings.Contains(journal.String(), value) {
						t.Errorf("the journal holds %q", value)
					}
				}
			}
		})
	}
}

// clear fails where a text is in a directory's files or names.
func clear(t testing.TB, dir string, texts ...string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		for _, text := range texts {
			if bytes.Contains(b, []byte(text)) || strings.Contains(strings.TrimPrefix(path, dir), text) {
				t.Errorf("%s holds %q in clear", path, text)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// What differs from live is named, and its values are not, nor digests by which a short one
// could be guessed.
func TestConfig_differs(t *testing.T) {
	shop := filepath.Join(settings(t), "shop")
	pin := filepath.Join(shop, "the-pin")
	if err := os.WriteFile(pin, []byte("1234"), 0o600); err != nil {
		t.Fatal(err)
	}
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	seal, err := files.Sealer([]string{identity.Recipient().String()}, "")
	if err != nil {
		t.Fatal(err)
	}
	store := directory(t, nil)
	if _, err := files.Capture(t.Context(), files.CaptureOptions{Dir: "/", Paths: []string{shop}, Store: store, Seal: seal, Now: func() time.Time { return later(1) }}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(shop, "shop.conf"), []byte("colour = red\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(filepath.Join(shop, "stray"), nil, 0o600), os.WriteFile(pin, []byte("4321"), 0o600)); err != nil {
		t.Fatal(err)
	}
	c := recovery.Component{Name: "config", Kind: recovery.Config, Settings: recovery.Settings{"identity": {"${KEY}"}, "paths": {shop}}}
	o := options(t, configEngine(), c, store)
	o.Environ = map[string]string{"KEY": identity.String()}
	var filed []byte
	o.Probe = func(_ context.Context, env recovery.Env) error {
		beside, err := env.Artifact("beside")
		if err != nil {
			return err
		}
		filed, err = os.ReadFile(filepath.Join(filepath.Dir(beside.(recovery.Placed).Path()), "config.files.txt"))
		return errors.Join(err, beside.Close())
	}
	end, _ := restore(t, o)
	passed(t, end)
	if !strings.Contains(string(filed), "/shop.conf\"\t") || !strings.Contains(string(filed), "/the-pin\"\t-rw-------, 4 bytes, live the same with other content\n") {
		t.Errorf("the artifact is\n%s", filed)
	}
	if digest := regexp.MustCompile(`[0-9a-f]{32}`).Find(filed); digest != nil {
		t.Errorf("the artifact holds the digest %s", digest)
	}
	out := end.Steps[0].Outcome
	want := map[string]string{"files as live": "1", "files differs from live": "2", "files only live": "1"}
	for name, n := range want {
		if out.Facts[name] != n {
			t.Errorf("%s: %q, want %s", name, out.Facts[name], n)
		}
	}
	if remarks := strings.Join(out.Remarks, "; "); !strings.Contains(remarks, "shop.conf") || strings.Contains(remarks, "red") || strings.Contains(remarks, "green") {
		t.Errorf("the remarks are %q", remarks)
	}
}

// An archive that somebody has encrypted with age restores as well; one that is
// damaged is refused.
func TestConfig_archive(t *testing.T) {
	shop := settings(t)
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	var sealed bytes.Buffer
	w, err := age.Encrypt(&sealed, identity.Recipient())
	if err == nil {
		_, err = w.Write(packed(t, archived(t, shop, "."), "gzip", "-c"))
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	c := recovery.Component{Name: "config", Kind: recovery.Config, Settings: recovery.Settings{"identity": {"${KEY}"}}}
	run := func(content []byte) (recovery.State, string) {
		o := options(t, configEngine(), c, directory(t, map[string][]byte{"etc-2026-11-22.tar.gz.age": content}))
		o.Environ = map[string]string{"KEY": identity.String()}
		return restore(t, o)
	}
	end, restored := run(sealed.Bytes())
	passed(t, end)
	if diff := cmp.Diff(describe(t, shop), restored); diff != "" {
		t.Error(diff)
	}
	for name, harm := range map[string]func([]byte) []byte{
		"cut off": func(b []byte) []byte { return b[:len(b)-7] },
		"a bit":   func(b []byte) []byte { b[len(b)-20] ^= 1; return b },
	} {
		t.Run(name, func(t *testing.T) {
			end, _ := run(harm(bytes.Clone(sealed.Bytes())))
			if says, hint := enginetest.Failure(end); end.Result != recovery.ResultFailed || !strings.Contains(says, "damaged") || hint == "" {
				t.Errorf("the run ended as %s: %s (%s)", end.Result, says, hint)
			}
		})
	}
}

// Which directory of an encrypted archive is the tree shows when it is decrypted: people
// archive from / as well as from the directory above or the one itself. What it is a copy of is
// told, where the names tell it; it is compared with that.
func TestConfig_archiveRoot(t *testing.T) {
	etc := settings(t)
	shop, conf := filepath.Join(etc, "shop"), filepath.Join(etc, "shop/shop.conf")
	fromRoot := strings.TrimPrefix(etc, "/")
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		from    string   // where tar is run
		names   []string // what it is given
		paths   []string // of the component
		root    string   // of the component
		want    string   // the directory that the tree is as
		of      string
		leftOut int
	}{
		"from /":            {"/", []string{fromRoot + "/shop"}, []string{shop}, "", shop, shop, 0},
		"from above":        {etc, []string{"shop"}, []string{shop + "/"}, "", shop, shop, 0},
		"of itself":         {shop, []string{"."}, []string{shop}, "", shop, "", 0},
		"a file":            {"/", []string{fromRoot + "/shop/secrets/db"}, []string{filepath.Join(shop, "secrets/db")}, "", filepath.Join(shop, "secrets"), filepath.Join(shop, "secrets"), 0},
		"several from /":    {"/", []string{fromRoot + "/shop/shop.conf", fromRoot + "/shop/secrets"}, []string{conf, filepath.Join(shop, "secrets")}, "", shop, shop, 0},
		"several, by names": {shop, []string{"shop.conf", "secrets"}, []string{conf, filepath.Join(shop, "secrets")}, "", shop, "", 0},
		"and more":          {"/", []string{fromRoot + "/shop", fromRoot + "/other"}, []string{shop}, "", shop, shop, 2},
		"as it is written":  {etc, []string{"shop", "other"}, []string{shop}, ".", etc, "", 0},
		"a reference":       {etc, []string{"shop", "other"}, []string{"${ETC}"}, "", etc, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			var sealed bytes.Buffer
			w, err := age.Encrypt(&sealed, identity.Recipient())
			if err == nil {
				_, err = w.Write(packed(t, archived(t, test.from, test.names...), "gzip", "-c"))
			}
			if err == nil {
				err = w.Close()
			}
			if err != nil {
				t.Fatal(err)
			}
			c := recovery.Component{Name: "config", Kind: recovery.Config, Settings: recovery.Settings{"identity": {"${KEY}"}, "paths": test.paths}}
			if test.root != "" {
				c.Settings["root"] = []string{test.root}
			}
			o := options(t, configEngine(), c, directory(t, map[string][]byte{"etc-2026-11-22.tar.gz.age": sealed.Bytes()}))
			o.Environ = map[string]string{"KEY": identity.String(), "ETC": shop}
			of := "none"
			o.Probe = func(_ context.Context, env recovery.Env) error {
				b, _ := env.Binding("config")
				of = b.Of
				return nil
			}
			end, restored := restore(t, o)
			out := end.Steps[0].Outcome
			if says, hint := enginetest.Failure(end); len(out.Exceptions) != test.leftOut || (end.Result == recovery.ResultPassed) != (test.leftOut == 0) {
				t.Fatalf("the run ended as %s: %s (%s); %q", end.Result, says, hint, out.Exceptions)
			}
			names := func(described string) (all []string) {
				for line := range strings.Lines(described) {
					all = append(all, strings.Fields(line)[0])
				}
				return all
			}
			if diff := cmp.Diff(names(describe(t, test.want)), names(restored)); diff != "" {
				t.Error(diff)
			}
			if of != test.of {
				t.Errorf("it is a copy of %q", of)
			}
			if test.of != "" && (out.Facts["files not live"] != "" || out.Facts["files differs from live"] != "") {
				t.Errorf("of what is as live it says %v", out.Facts)
			}
		})
	}
}

func TestConfig_engine(t *testing.T) {
	enginetest.Suite(t, configEngine(), directory(t, nil))
	// Neither engine takes the other's backups.
	store := directory(t, map[string][]byte{"a.tar": tarOf(t), "b.tar.age": []byte("age-encryption.org/v1\n")})
	seal, err := files.Sealer(nil, "x")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for prefix, seal := range map[string]func(io.Writer) (io.WriteCloser, error){"open/": nil, "sealed/": seal} {
		if _, err := files.Capture(t.Context(), files.CaptureOptions{Dir: dir, Store: store, Prefix: prefix, Seal: seal, Now: func() time.Time { return later(1) }}); err != nil {
			t.Fatal(err)
		}
	}
	for _, e := range []recovery.Engine{engine(), configEngine()} {
		for _, b := range survey(t, e, recovery.Component{Name: "x", Kind: e.Schema().Kind}, store).Backups {
			if sealed := strings.Contains(b.Form, "encrypted"); sealed != (e.Schema().Engine == files.Config) {
				t.Errorf("%s lists %s, %s", e.Schema().Engine, b.ID, b.Form)
			}
		}
	}
}
