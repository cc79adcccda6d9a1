package shop

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"
)

// upload is a file with its row.
type upload struct {
	path, sha256 string
	bytes        int64
	customer     int64
	at           time.Time
}

// maxUploads bounds the tree of a large shop.
const maxUploads = 2000

// fillUploads makes the tree and the rows that list it.
func (s *Shop) fillUploads(ctx context.Context, conn *pgx.Conn, now time.Time) error {
	var customers int64
	if err := conn.QueryRow(ctx, "select count(*) from customers").Scan(&customers); err != nil {
		return fmt.Errorf("count customers: %w", err)
	}
	n := min(max(20, s.options.Scale/200), maxUploads)
	var rows [][]any
	for i := range n {
		at := now.Add(-time.Minute - time.Duration(n-1-i)*time.Hour)
		u, err := s.writeUpload(1+s.random.Int64N(customers), at)
		if err != nil {
			return err
		}
		rows = append(rows, []any{u.path, u.sha256, u.bytes, u.customer, u.at})
	}
	columns := []string{"path", "sha256", "bytes", "customer_id", "uploaded_at"}
	if _, err := conn.CopyFrom(ctx, pgx.Identifier{"uploads"}, columns, pgx.CopyFromRows(rows)); err != nil {
		return fmt.Errorf("list the uploads: %w", err)
	}
	return nil
}

// writeUpload makes the next file of the tree. The file comes first and its row
// after it, as in every shop. Whoever calls it holds s.mu.
func (s *Shop) writeUpload(customer int64, at time.Time) (upload, error) {
	s.uploads++
	content := make([]byte, 200+s.random.IntN(4000))
	fillRandom(s.random, content)
	sum := sha256.Sum256(content)
	u := upload{path: fmt.Sprintf("%s/photo-%d.jpg", at.Format("2006/01"), s.uploads), sha256: hex.EncodeToString(sum[:]),
		bytes: int64(len(content)), customer: customer, at: at}
	path := filepath.Join(s.Uploads(), filepath.FromSlash(u.path))
	if err := os.MkdirAll(filepath.Dir(path), 0o711); err != nil {
		return upload{}, fmt.Errorf("make an upload: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return upload{}, fmt.Errorf("make an upload: %w", err)
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Close()); err != nil {
		return upload{}, fmt.Errorf("make an upload: %w", err)
	}
	return u, nil
}

func fillRandom(r *rand.Rand, b []byte) {
	for i := range b {
		b[i] = byte(r.Uint32())
	}
}
