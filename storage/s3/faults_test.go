package s3_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comeback/port"
	"comeback/storage"
	"comeback/storage/s3"
	"comeback/storagetest"
)

// kinds are all that callers tell apart.
var kinds = []error{storage.ErrNotExist, storage.ErrExist, storage.ErrDenied, storage.ErrExpired,
	storage.ErrChanged, storage.ErrCorrupt, storage.ErrConfig, storage.ErrUnavailable}

// check fails the test unless err is of the kind and of no other, says what it
// has to, and holds no secret.
func check(t *testing.T, what string, err, kind error, says ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error, want one that is %q", what, kind)
		return
	}
	for _, k := range kinds {
		if errors.Is(err, k) != (k == kind) {
			t.Errorf("%s: error is %v, want one that is %q and nothing else", what, err, kind)
			break
		}
	}
	for _, text := range says {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%s: error %q does not say %q", what, err, text)
		}
	}
	if strings.Contains(err.Error(), "the-secret-of") {
		t.Errorf("%s: error %q holds a secret", what, err)
	}
}

// every tries all operations of a store and gives their errors.
func every(ctx context.Context, s storage.Store) map[string]error {
	errs := map[string]error{}
	for _, err := range s.List(ctx, "") {
		errs["list"] = err
	}
	_, errs["stat"] = s.Stat(ctx, "db/dump")
	o := storage.Object{Key: "db/dump", Size: 4, Revision: "8d777f385d3dfec8815d20f7496026dc"}
	if r, err := s.Open(ctx, o, 0); err != nil {
		errs["open"] = err
	} else {
		_, errs["open"] = io.ReadAll(r)
		r.Close()
	}
	_, errs["end"] = s.Open(ctx, o, 4)
	_, errs["put"] = s.Put(ctx, "db/other", strings.NewReader("text"), storage.PutOptions{Size: 4})
	return errs
}

func TestFaults_Addresses(t *testing.T) {
	server := storagetest.StartS3(t)
	server.Setenv(t)
	t.Setenv("AWS_MAX_ATTEMPTS", "1")
	server.CreateBucket("backups")
	storagetest.Put(t, open(t, server.Options("backups", "")), "db/dump", "data")
	stranger := server.CreateUser("stranger")

	t.Run("none", func(t *testing.T) {
		for op, err := range every(t.Context(), open(t, server.Options("backups", ""))) {
			if err != nil {
				t.Errorf("%s: %v", op, err)
			}
		}
	})
	t.Run("missing bucket", func(t *testing.T) {
		for op, err := range every(t.Context(), open(t, server.Options("backup", ""))) {
			if op == "list" {
				if !errors.Is(err, storage.ErrNotExist) || !errors.Is(err, storage.ErrConfig) || !strings.Contains(err.Error(), "the bucket backup does not exist") {
					t.Errorf("list: %v", err)
				}
				continue
			}
			check(t, op, err, storage.ErrConfig, "the bucket backup does not exist", "NoSuchBucket")
		}
	})
	t.Run("wrong region", func(t *testing.T) {
		options := server.Options("backups", "")
		options.Region = "us-west-2"
		for op, err := range every(t.Context(), open(t, options)) {
			check(t, op, err, storage.ErrConfig, "in the region eu-central-1, not in us-west-2", "s3://backups")
		}
	})
	t.Run("may do nothing", func(t *testing.T) {
		server.SetenvAs(t, stranger)
		for op, err := range every(t.Context(), open(t, server.Options("backups", ""))) {
			check(t, op, err, storage.ErrDenied, "AccessDenied")
		}
	})
	t.Run("unknown key", func(t *testing.T) {
		server.SetenvAs(t, storagetest.Account{AccessKey: "nobody", SecretKey: "the-secret-of-nobody"})
		for op, err := range every(t.Context(), open(t, server.Options("backups", ""))) {
			check(t, op, err, storage.ErrDenied, "InvalidAccessKeyId")
		}
	})
	t.Run("wrong secret", func(t *testing.T) {
		server.SetenvAs(t, storagetest.Account{AccessKey: storagetest.Root.AccessKey, SecretKey: "the-secret-of-another"})
		for op, err := range every(t.Context(), open(t, server.Options("backups", ""))) {
			check(t, op, err, storage.ErrDenied, "SignatureDoesNotMatch")
		}
	})
	t.Run("no credentials", func(t *testing.T) {
		server.SetenvAs(t, storagetest.Account{})
		for op, err := range every(t.Context(), open(t, server.Options("backups", ""))) {
			check(t, op, err, storage.ErrDenied, "no credentials were found")
		}
	})
	t.Run("nobody listens", func(t *testing.T) {
		kept, err := port.Keep()
		if err != nil {
			t.Fatal(err)
		}
		defer kept.Close()
		options := server.Options("backups", "")
		options.Endpoint = "http://" + kept.Address()
		for op, err := range every(t.Context(), open(t, options)) {
			check(t, op, err, storage.ErrUnavailable, "connection refused", "s3://backups")
		}
	})
	t.Run("connections break", func(t *testing.T) {
		server.Proxy.Refuse(true)
		defer server.Proxy.Heal()
		for op, err := range every(t.Context(), open(t, server.Options("backups", ""))) {
			check(t, op, err, storage.ErrUnavailable)
		}
	})
}

// TestFaults_Rights proves that what credentials may not see is not absent,
// and that those that may only write can write.
func TestFaults_Rights(t *testing.T) {
	server := storagetest.StartS3(t)
	server.Setenv(t)
	server.CreateBucket("backups")
	o := storagetest.Put(t, open(t, server.Options("backups", "")), "db/dump", "data")

	t.Run("may only write", func(t *testing.T) {
		user := server.CreateUser("writer")
		server.Allow("backups", user, "s3:PutObject")
		server.SetenvAs(t, user)
		s := open(t, server.Options("backups", ""))
		for _, size := range []int64{4, -1} {
			if _, err := s.Put(t.Context(), "db/more", strings.NewReader("more"), storage.PutOptions{Size: size}); err != nil {
				t.Error(err)
			}
		}
		_, err := s.Stat(t.Context(), "db/dump")
		check(t, "stat", err, storage.ErrDenied, "AccessDenied", "s3://backups/db/dump")
		_, err = s.Stat(t.Context(), "db/none")
		check(t, "stat of what is absent", err, storage.ErrDenied)
		_, err = s.Open(t.Context(), o, 0)
		check(t, "open", err, storage.ErrDenied)
	})
	t.Run("may only read", func(t *testing.T) {
		user := server.CreateUser("reader")
		server.Allow("backups", user, "s3:GetObject", "s3:ListBucket")
		server.SetenvAs(t, user)
		s := open(t, server.Options("backups", ""))
		if got := storagetest.Read(t, s, "db/dump"); got != "data" {
			t.Errorf("read %q", got)
		}
		_, err := s.Put(t.Context(), "db/dump", strings.NewReader("evil"), storage.PutOptions{Size: 4})
		check(t, "put", err, storage.ErrDenied)
		if got := storagetest.Read(t, s, "db/dump"); got != "data" {
			t.Errorf("after a put that was denied: %q", got)
		}
	})
}

// TestFaults_Damage changes what the server has on its disk, behind its back.
func TestFaults_Damage(t *testing.T) {
	server := storagetest.StartS3(t)
	server.Setenv(t)
	server.CreateBucket("backups")
	s := open(t, server.Options("backups", ""))
	data := bytes.Repeat([]byte("comeback"), 100_000)
	for name, damage := range map[string]func(file string) error{
		"flipped byte": func(file string) error {
			flipped := bytes.Clone(data)
			flipped[500_000] ^= 1
			return overwrite(file, flipped)
		},
		"truncated": func(file string) error { return os.Truncate(file, 500_000) },
		"longer":    func(file string) error { return os.Truncate(file, 900_000) },
	} {
		t.Run(name, func(t *testing.T) {
			o, err := s.Put(t.Context(), "db/"+name, bytes.NewReader(data), storage.PutOptions{Size: int64(len(data))})
			if err != nil {
				t.Fatal(err)
			}
			if err := damage(server.File("backups", o.Key)); err != nil {
				t.Fatal(err)
			}
			o.Checksum = "" // as a listing has it: the stream has to bring its own
			r := storage.NewReader(t.Context(), s, o, storage.ReadOptions{})
			defer r.Close()
			_, err = io.Copy(io.Discard, r)
			check(t, "read", err, storage.ErrCorrupt, "s3://backups/db/"+name)
		})
	}
}

// overwrite keeps the file and its attributes, where the server has its
// checksum.
func overwrite(file string, data []byte) error {
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Write(data)
	return err
}

// TestOptions proves that the store is found through the default chain.
func TestOptions(t *testing.T) {
	server := storagetest.StartS3(t)
	server.Setenv(t)
	server.CreateBucket("backups")

	t.Run("environment", func(t *testing.T) {
		s := open(t, s3.Options{URL: "s3://backups/shop/"})
		storagetest.Put(t, s, "a", "text")
		if got := s.URL(); got != "s3://backups/shop" {
			t.Errorf("URL is %q", got)
		}
	})
	t.Run("profile", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "config")
		text := "[profile backups]\nregion = eu-central-1\naws_access_key_id = " + storagetest.Root.AccessKey +
			"\naws_secret_access_key = " + storagetest.Root.SecretKey + "\nendpoint_url = " + server.Endpoint() + "\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_ENDPOINT_URL"} {
			t.Setenv(name, "")
		}
		t.Setenv("AWS_CONFIG_FILE", file)
		s := open(t, s3.Options{URL: "s3://backups", Profile: "backups"})
		if got := storagetest.Read(t, s, "shop/a"); got != "text" {
			t.Errorf("read %q", got)
		}
		_, err := s3.Open(t.Context(), s3.Options{URL: "s3://backups", Profile: "no-such"})
		check(t, "open", err, storage.ErrConfig, "there is no profile no-such on this host")
		if missing, ok := errors.AsType[storage.NoProfile](err); !ok || missing.Name != "no-such" {
			t.Errorf("open gives %v", err)
		}
	})
	t.Run("identity", func(t *testing.T) {
		s, ok := storage.As[storage.Identifier](storagetest.NewFaulty(open(t, server.Options("backups", ""))))
		if !ok {
			t.Fatal("the store cannot say who asks")
		}
		who, account, err := s.Identity(t.Context())
		if who != "access key …ROOT" || account != "" || err != nil {
			t.Errorf("identity is %q, %q, %v", who, account, err)
		}
	})
	for _, url := range []string{"", "backups", "s3://", "s3:///a", "http://backups", "s3://user@backups", "s3://backups?x", "s3://b/../c", "s3://b//c"} {
		_, err := s3.Open(t.Context(), s3.Options{URL: url})
		check(t, url, err, storage.ErrConfig)
	}
}
