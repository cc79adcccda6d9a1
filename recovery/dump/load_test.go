package dump

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"comeback/recovery/dump/crew"
	"comeback/recovery/dump/script"
)

// rowsOf is a script with the rows of one table, among them rows that are longer than
// all memory for pieces.
func rowsOf(random *rand.Rand, n int) (text string, rows []string) {
	var b strings.Builder
	b.WriteString("COPY public.t (a) FROM stdin;\n")
	for i := range n {
		length := random.IntN(300)
		if random.IntN(200) == 0 {
			length = (leastPieces + 2) * (pieceSoft + pieceMore)
		}
		row := fmt.Sprintf("%d %s", i, strings.Repeat("x", length))
		rows = append(rows, row)
		b.WriteString(row + "\n")
	}
	b.WriteString("\\.\n")
	return b.String(), rows
}

// Every row of a table reaches one lane, whole, whenever the lane that has it alone has
// to share it; the memory for it never grows.
func TestLoad_Shared(t *testing.T) {
	defer SetPieces(500, 0)()
	for seed := range uint64(30) {
		random := rand.New(rand.NewPCG(seed, 1))
		text, want := rowsOf(random, 400)
		r := script.NewReader(strings.NewReader(text))
		if _, err := r.Next(); err != nil {
			t.Fatal(err)
		}
		shelf := newShelf(0)
		l := newLoad(t.Context(), shelf)
		l.begin()
		var mu sync.Mutex
		var got []string
		read := func(lane *lane) {
			b, err := io.ReadAll(lane)
			mu.Lock()
			defer mu.Unlock()
			if err != nil || len(b) > 0 && !bytes.HasSuffix(b, []byte("\n")) {
				t.Errorf("seed %d: a lane ends with %.20q: %v", seed, b, err)
			}
			got = append(got, strings.FieldsFunc(string(b), func(c rune) bool { return c == '\n' })...)
		}
		var lanes sync.WaitGroup
		first := &lane{load: l, alone: true}
		lanes.Go(func() {
			read(first)
			if first.parted {
				read(&lane{load: l})
			}
		})
		shareAt := random.IntN(60)
		for n := 0; ; n++ {
			if n == shareAt {
				l.share()
				lanes.Go(func() { read(&lane{load: l}) })
			}
			p, err := shelf.readPiece(t.Context(), r, nil)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			l.next <- p
		}
		l.end(nil)
		lanes.Wait()
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Fatalf("seed %d: %d rows of %d, or others", seed, len(got), len(want))
		}
		if shelf.more+len(shelf.free) != leastPieces {
			t.Errorf("seed %d: memory for %d pieces came back, of %d", seed, shelf.more+len(shelf.free), leastPieces)
		}
	}
}

// A lane that has a table alone parts from it while another one is in the middle of a
// row: that one waits in the server for what the first holds.
func TestLoad_PartsInTheMiddleOfARow(t *testing.T) {
	l := newLoad(t.Context(), newShelf(0))
	l.begin()
	alone := &lane{load: l, alone: true}
	l.next <- piece{bytes: []byte("1\n"), home: new([]byte), whole: true}
	if _, err := alone.take(); err != nil {
		t.Fatal(err)
	}
	l.share()
	l.next <- piece{bytes: []byte("2"), home: new([]byte)}
	other := &lane{load: l}
	if _, err := other.take(); err != nil || !other.holding {
		t.Fatal(err, other.holding)
	}
	if _, err := alone.take(); !errors.Is(err, io.EOF) || !alone.parted {
		t.Errorf("%v, parted %v", err, alone.parted)
	}
}

// A lane that helps takes nothing before the table was emptied: it would be lost.
func TestLoad_HelpsLate(t *testing.T) {
	for _, begun := range []bool{false, true} {
		ctx, cancel := context.WithCancel(t.Context())
		l := newLoad(ctx, newShelf(0))
		l.next <- piece{bytes: []byte("1\n"), home: new([]byte), whole: true}
		l.share()
		if begun {
			l.begin()
		} else {
			cancel()
		}
		if _, err := (&lane{load: l}).take(); (err == nil) != begun || len(l.next) == 0 != begun {
			t.Errorf("emptied: %v; %v, and %d pieces wait", begun, err, len(l.next))
		}
		cancel()
	}
}

// A first lane that does not even begin ends the load: those that help would wait for it.
func TestLoad_NeverBegins(t *testing.T) {
	l := newLoad(t.Context(), newShelf(0))
	l.next <- piece{bytes: []byte("1\n"), home: new([]byte), whole: true}
	l.share()
	refused := errors.New("no connection")
	if err := orFails(crew.Task{Do: func(context.Context, int) error { return refused }}, l).Do(t.Context(), 0); err != refused {
		t.Error(err)
	}
	if _, err := (&lane{load: l}).take(); err != errStopped {
		t.Errorf("who helps gets %v", err)
	}
}
