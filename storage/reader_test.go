package storage_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"comeback/storage"
	"comeback/storagetest"
)

// stored is a faulty store with one object, its checksum known.
func stored(t *testing.T, size int) (*storagetest.Faulty, storage.Object, []byte) {
	t.Helper()
	s, _ := openDir(t)
	data := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{}).Read(data)
	o, err := s.Put(t.Context(), "db/dump", bytes.NewReader(data), storage.PutOptions{Size: int64(size)})
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	o.Checksum = "sha256:" + base64.StdEncoding.EncodeToString(sum[:])
	return storagetest.NewFaulty(s), o, data
}

// unhurried reads with pauses that take no time, and records them.
func unhurried(pauses *[]time.Duration) storage.ReadOptions {
	return storage.ReadOptions{Wait: func(ctx context.Context, d time.Duration) error {
		*pauses = append(*pauses, d)
		return ctx.Err()
	}}
}

func TestReader_Dropped(t *testing.T) {
	s, o, data := stored(t, 100_000)
	for _, drops := range [][]int64{{0}, {1}, {50_000}, {99_999}, {100_000}, {0, 1, 2, 3, 50_000, 50_001, 99_999}} {
		s.Heal()
		for _, at := range drops {
			s.Inject(storagetest.Fault{Op: storagetest.OnRead, At: at, Times: 1, Err: storagetest.Dropped})
		}
		var pauses []time.Duration
		r := storage.NewReader(t.Context(), s, o, unhurried(&pauses))
		got, err := io.ReadAll(iotest.OneByteReader(r))
		r.Close()
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("drops at %v: %d bytes, %v", drops, len(got), err)
		}
		if want := len(drops); len(pauses) != want && drops[0] != 100_000 {
			t.Errorf("drops at %v: paused %v", drops, pauses)
		}
	}
}

func TestReader_GivesUpWithoutProgress(t *testing.T) {
	s, o, data := stored(t, 1000)
	s.Inject(storagetest.Fault{Op: storagetest.OnRead, At: 600, Err: storagetest.Dropped})
	var pauses []time.Duration
	options := unhurried(&pauses)
	options.Attempts = 5
	r := storage.NewReader(t.Context(), s, o, options)
	defer r.Close()
	got, err := io.ReadAll(r)
	if !bytes.Equal(got, data[:600]) {
		t.Errorf("got %d bytes", len(got))
	}
	if !errors.Is(err, storage.ErrUnavailable) || !strings.Contains(err.Error(), "connection reset by peer") ||
		!strings.Contains(err.Error(), "db/dump") || !strings.Contains(err.Error(), "byte 600") {
		t.Errorf("error is %v", err)
	}
	// One stream gave 600 bytes, and each of the others none.
	if n := s.Calls(storagetest.OnRead); n != 5 {
		t.Errorf("opened %d times", n)
	}
	if !slices.IsSorted(pauses) || len(pauses) != 4 || pauses[0] == 0 || pauses[3] != 8*pauses[0] {
		t.Errorf("pauses are %v, want four that double", pauses)
	}
	if _, again := r.Read(make([]byte, 1)); again != err {
		t.Errorf("a second Read gives %v", again)
	}
}

func TestReader_ProgressForgivesFailures(t *testing.T) {
	s, o, data := stored(t, 1000)
	for at := range int64(1000) { // far more drops than attempts
		s.Inject(storagetest.Fault{Op: storagetest.OnRead, At: at, Times: 2, Err: storagetest.Dropped})
	}
	var pauses []time.Duration
	options := unhurried(&pauses)
	options.Attempts = 4
	r := storage.NewReader(t.Context(), s, o, options)
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if len(pauses) != 2000 {
		t.Errorf("%d pauses", len(pauses))
	}
}

func TestReader_DoesNotRetryWhatCannotHelp(t *testing.T) {
	for _, fault := range []*storage.Error{storagetest.Denied, storagetest.Expired, storagetest.Changed,
		{Kind: storage.ErrNotExist}, {Kind: storage.ErrConfig}} {
		for _, at := range []storagetest.Fault{
			{Op: storagetest.OnOpen, Err: fault},
			{Op: storagetest.OnOpen, After: 1, Err: fault}, // on going on
			{Op: storagetest.OnRead, At: 600, After: 1, Err: fault},
			{Op: storagetest.OnRead, At: 1000, Err: fault}, // after the last byte
		} {
			s, o, _ := stored(t, 1000)
			s.Inject(at)
			if at.After > 0 {
				s.Inject(storagetest.Fault{Op: storagetest.OnRead, At: 600, Times: 1, Err: storagetest.Dropped})
			}
			var pauses []time.Duration
			r := storage.NewReader(t.Context(), s, o, unhurried(&pauses))
			_, err := io.ReadAll(r)
			r.Close()
			if !errors.Is(err, fault.Kind) || len(pauses) != at.After {
				t.Errorf("%+v: %v after %d pauses", at, err, len(pauses))
			}
		}
	}
}

func TestReader_Damage(t *testing.T) {
	for _, fault := range []storagetest.Fault{
		{Op: storagetest.OnRead, At: 0, Flip: true},
		{Op: storagetest.OnRead, At: 999, Flip: true},
		{Op: storagetest.OnRead, At: 0, Cut: true},
		{Op: storagetest.OnRead, At: 999, Cut: true},
	} {
		s, o, _ := stored(t, 1000)
		s.Inject(fault)
		r := storage.NewReader(t.Context(), s, o, storage.ReadOptions{})
		_, err := io.ReadAll(r)
		r.Close()
		if !errors.Is(err, storage.ErrCorrupt) || !strings.Contains(err.Error(), "db/dump") {
			t.Errorf("%+v: error is %v", fault, err)
		}
	}
	t.Run("across a drop", func(t *testing.T) {
		s, o, _ := stored(t, 1000)
		s.Inject(storagetest.Fault{Op: storagetest.OnRead, At: 500, Times: 1, Err: storagetest.Dropped},
			storagetest.Fault{Op: storagetest.OnRead, At: 700, Flip: true})
		var pauses []time.Duration
		r := storage.NewReader(t.Context(), s, o, unhurried(&pauses))
		defer r.Close()
		if _, err := io.ReadAll(r); !errors.Is(err, storage.ErrCorrupt) {
			t.Errorf("error is %v", err)
		}
	})
}

// TestReader_Checksums compares with the published check values, which are of
// "123456789".
func TestReader_Checksums(t *testing.T) {
	s, _ := openDir(t)
	o := storagetest.Put(t, s, "check", "123456789")
	for _, sum := range []string{
		"crc32:y/Q5Jg==", "crc32c:4waSgw==", "crc64nvme:rosUhgp5mIg=", "sha1:98O8HYCOBHMq32eZZczDTKeuNEE=",
		"sha256:FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=", "", "md6:unknown",
	} {
		for _, damaged := range []bool{false, true} {
			f := storagetest.NewFaulty(s)
			if damaged {
				f.Inject(storagetest.Fault{Op: storagetest.OnRead, At: 4, Flip: true})
			}
			o.Checksum = sum
			r := storage.NewReader(t.Context(), f, o, storage.ReadOptions{})
			_, err := io.ReadAll(r)
			r.Close()
			known := sum != "" && sum != "md6:unknown"
			if damaged && known != errors.Is(err, storage.ErrCorrupt) || !damaged && err != nil {
				t.Errorf("%s, damaged %v: %v", sum, damaged, err)
			}
		}
	}
}

// A read that goes on where an earlier one stopped compares the checksum of the
// whole object, and nothing that is there already comes again.
func TestReader_TakenUp(t *testing.T) {
	s, o, data := stored(t, 1000)
	for _, from := range []int64{1, 500, 1000} {
		came := 0
		r := storage.NewReader(t.Context(), s, o, storage.ReadOptions{From: from, Before: bytes.NewReader(data), Progress: func(n int) { came += n }})
		got, err := io.ReadAll(r)
		r.Close()
		if err != nil || !bytes.Equal(got, data[from:]) || came != len(got) {
			t.Errorf("from %d: %d bytes, %d of them told, %v", from, len(got), came, err)
		}
		wrong := slices.Clone(data)
		wrong[0]++
		r = storage.NewReader(t.Context(), s, o, storage.ReadOptions{From: from, Before: bytes.NewReader(wrong)})
		if _, err = io.ReadAll(r); !errors.Is(err, storage.ErrCorrupt) {
			t.Errorf("from %d of other bytes: %v", from, err)
		}
		r.Close()
		r = storage.NewReader(t.Context(), s, o, storage.ReadOptions{From: from, Before: bytes.NewReader(data[:from-1])})
		if _, err = io.ReadAll(r); !errors.Is(err, io.EOF) || errors.Is(err, storage.ErrCorrupt) {
			t.Errorf("from %d with fewer bytes: %v", from, err)
		}
		r.Close()
	}
}

func TestReader_Stalled(t *testing.T) {
	for _, op := range []storagetest.Op{storagetest.OnOpen, storagetest.OnRead} {
		s, o, data := stored(t, 1000)
		at := int64(0)
		if op == storagetest.OnRead {
			at = 600
		}
		s.Inject(storagetest.Fault{Op: op, At: at, Times: 1, Gate: storagetest.NewGate()})
		var pauses []time.Duration
		options := unhurried(&pauses)
		options.Stall = 50 * time.Millisecond
		options.Attempts = 1000 // a slow machine may stall by itself
		r := storage.NewReader(t.Context(), s, o, options)
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: %d bytes, %v", op, len(got), err)
		}
		r.Close()
		if len(pauses) == 0 {
			t.Errorf("%s: it was not stalled", op)
		}
	}
}

func TestReader_CancelledWhileItWaits(t *testing.T) {
	t.Run("for bytes", func(t *testing.T) {
		s, o, _ := stored(t, 1000)
		gate := storagetest.NewGate()
		s.Inject(storagetest.Fault{Op: storagetest.OnRead, At: 600, Gate: gate})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { <-gate.Entered(); cancel() }()
		r := storage.NewReader(ctx, s, o, storage.ReadOptions{})
		defer r.Close()
		if _, err := io.ReadAll(r); !errors.Is(err, context.Canceled) {
			t.Errorf("error is %v", err)
		}
	})
	t.Run("for the next attempt", func(t *testing.T) {
		s, o, _ := stored(t, 1000)
		s.Inject(storagetest.Fault{Op: storagetest.OnOpen, Err: storagetest.Unavailable})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		r := storage.NewReader(ctx, s, o, storage.ReadOptions{Wait: func(ctx context.Context, _ time.Duration) error {
			cancel()
			<-ctx.Done()
			return ctx.Err()
		}})
		defer r.Close()
		if _, err := io.ReadAll(r); !errors.Is(err, context.Canceled) {
			t.Errorf("error is %v", err)
		}
	})
}

func TestReader_Closed(t *testing.T) {
	s, o, _ := stored(t, 1000)
	r := storage.NewReader(t.Context(), s, o, storage.ReadOptions{})
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if _, err := r.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Errorf("reading a closed reader gives %v", err)
	}
	if n := s.Calls(storagetest.OnOpen); n != 0 {
		t.Errorf("opened %d times", n)
	}
}
