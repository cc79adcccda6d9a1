package s3_test

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"comeback/storage"
	"comeback/storagetest"
)

// random are n bytes that do not repeat.
func random(n int) []byte {
	data := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(data)
	return data
}

// unhurried reads with pauses that take no time.
var unhurried = storage.ReadOptions{Wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }}

// TestConnection_Cut reads through real connections that are reset in the
// middle of an answer.
func TestConnection_Cut(t *testing.T) {
	server := storagetest.StartS3(t)
	server.Setenv(t)
	server.CreateBucket("backups")
	s := open(t, server.Options("backups", ""))
	data := random(4 << 20)
	o, err := s.Put(t.Context(), "db/dump", bytes.NewReader(data), storage.PutOptions{Size: int64(len(data))})
	if err != nil {
		t.Fatal(err)
	}
	listed := o
	listed.Checksum = ""

	for _, at := range []int64{0, 1, 500, 1 << 20, 4<<20 - 1} {
		server.Proxy.CutAfter(at)
		before := server.Proxy.Cuts()
		r := storage.NewReader(t.Context(), s, listed, unhurried)
		got, err := io.ReadAll(r)
		r.Close()
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("cut after %d: %d bytes, %v", at, len(got), err)
		}
		if server.Proxy.Cuts() != before+1 {
			t.Errorf("cut after %d: it was not cut", at)
		}
	}
	t.Run("again and again", func(t *testing.T) {
		server.Proxy.CutEvery(300_000)
		defer server.Proxy.Heal()
		before := server.Proxy.Cuts()
		r := storage.NewReader(t.Context(), s, o, unhurried)
		defer r.Close()
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		if n := server.Proxy.Cuts() - before; n < 13 {
			t.Errorf("it was cut %d times", n)
		}
	})
	t.Run("for good", func(t *testing.T) {
		t.Setenv("AWS_MAX_ATTEMPTS", "1")
		s := open(t, server.Options("backups", ""))
		r := storage.NewReader(t.Context(), s, o, unhurried)
		defer r.Close()
		if _, err := io.ReadFull(r, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		server.Proxy.Refuse(true)
		defer server.Proxy.Heal()
		_, err := io.Copy(io.Discard, r)
		check(t, "read", err, storage.ErrUnavailable, "s3://backups/db/dump", "gave up at byte", "10 attempts")
	})
	t.Run("and damaged", func(t *testing.T) {
		faulty := storagetest.NewFaulty(s, storagetest.Fault{Op: storagetest.OnRead, At: 3 << 20, Flip: true})
		server.Proxy.CutAfter(1 << 20)
		r := storage.NewReader(t.Context(), faulty, listed, unhurried)
		defer r.Close()
		_, err := io.Copy(io.Discard, r)
		check(t, "read", err, storage.ErrCorrupt, "crc64nvme")
	})
}

// TestConnection_Replaced replaces an object between two connections of the
// same reader.
func TestConnection_Replaced(t *testing.T) {
	for _, versions := range []bool{false, true} {
		server := storagetest.StartS3(t)
		server.Setenv(t)
		server.CreateBucket("backups")
		if versions {
			server.SetVersioning("backups", true)
		}
		s := open(t, server.Options("backups", ""))
		data := random(4 << 20)
		o, err := s.Put(t.Context(), "db/dump", bytes.NewReader(data), storage.PutOptions{Size: int64(len(data))})
		if err != nil {
			t.Fatal(err)
		}
		r := storage.NewReader(t.Context(), s, o, unhurried)
		defer r.Close()
		if _, err := io.ReadFull(r, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		storagetest.Put(t, s, "db/dump", "another dump")
		server.Proxy.Refuse(true)
		server.Proxy.Heal()
		rest, err := io.ReadAll(r)
		if versions {
			if err != nil || !bytes.Equal(rest, data[1000:]) {
				t.Errorf("with versions: %d bytes, %v", len(rest), err)
			}
			continue
		}
		check(t, "read", err, storage.ErrChanged, "s3://backups/db/dump")
	}
}

// TestConnection_Put puts through connections that break: either the whole
// object is there or none.
func TestConnection_Put(t *testing.T) {
	server := storagetest.StartS3(t)
	server.Setenv(t)
	server.CreateBucket("backups")
	data := random(20 << 20)
	put := func(s storage.Store, key string) error {
		_, err := s.Put(t.Context(), key, bytes.NewReader(data), storage.PutOptions{Size: int64(len(data))})
		return err
	}
	t.Run("cut once", func(t *testing.T) {
		s := open(t, server.Options("backups", ""))
		server.Proxy.CutAfter(600)
		defer server.Proxy.Heal()
		before := server.Proxy.Cuts()
		if err := put(s, "once"); err != nil {
			t.Fatal(err)
		}
		if server.Proxy.Cuts() == before {
			t.Error("it was not cut")
		}
		if storagetest.Read(t, s, "once") != string(data) {
			t.Error("it holds other bytes")
		}
	})
	t.Run("refused", func(t *testing.T) {
		t.Setenv("AWS_MAX_ATTEMPTS", "1")
		s := open(t, server.Options("backups", ""))
		server.Proxy.Refuse(true)
		err := put(s, "never")
		server.Proxy.Heal()
		check(t, "put", err, storage.ErrUnavailable, "s3://backups/never")
		_, err = s.Stat(t.Context(), "never")
		check(t, "stat", err, storage.ErrNotExist)
	})
	if n := server.Parts("backups"); n != 0 {
		t.Errorf("%d parts remain", n)
	}
}
