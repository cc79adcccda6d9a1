package execute

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"comeback/recovery"
)

// keptOfLog is how much of the beginning and how much of the end of a log is kept: a step may
// say something for hours, on the disk that the journal needs, and a run is filed with its
// logs.
const keptOfLog = 32 << 20

// stepsLog is an artifact of lines, each with its time. Of more than it may hold it keeps the
// first and the last, with a line between them that says what is left out. Its file can be read
// meanwhile, takes at most four times as much, and has all lines once it is flushed.
type stepsLog struct {
	*artifact
	keeps int64
	out   *bufio.Writer

	// at is where the next line goes. From head on lines may be left out, from tail on they
	// are those behind the line that says so; both are 0 until something may be. lines are
	// those behind head.
	at, head, tail int64
	lines          int64
	// left lines of so many bytes are left out.
	left, leftBytes int64
}

// createLog makes a log, which keeps so much of its beginning and of its end; 0 is keptOfLog.
func createLog(dir, name string, keeps int64) (*stepsLog, error) {
	a, err := createArtifact(dir, name)
	if err != nil {
		return nil, err
	}
	if keeps <= 0 {
		keeps = keptOfLog
	}
	return &stepsLog{artifact: a, keeps: keeps, out: bufio.NewWriterSize(a, 64<<10)}, nil
}

// line adds a line.
func (l *stepsLog) line(at time.Time, text string) error {
	n, err := fmt.Fprintf(l.out, "%s %s\n", at.UTC().Format("15:04:05.000"), text)
	if err != nil {
		return err
	}
	if l.head == 0 && l.at+int64(n) > l.keeps && l.at > 0 {
		l.head, l.tail = l.at, l.at
	}
	l.at += int64(n)
	if l.head > 0 {
		l.lines++
	}
	if l.head > 0 && l.at-l.tail > 3*l.keeps {
		return l.shorten()
	}
	return nil
}

// flush puts what was said into the file.
func (l *stepsLog) flush() error { return l.out.Flush() }

// shorten leaves out what lies between the beginning and the last lines.
func (l *stepsLog) shorten() error {
	if err := l.flush(); err != nil {
		return err
	}
	last := make([]byte, l.keeps)
	if _, err := l.file.ReadAt(last, l.at-l.keeps); err != nil {
		return fmt.Errorf("shorten the log: %w", err)
	}
	_, last, _ = bytes.Cut(last, []byte("\n")) // a line that is whole
	kept := int64(bytes.Count(last, []byte("\n")))
	l.left += l.lines - kept
	l.leftBytes += l.at - l.tail - int64(len(last))
	l.lines = kept
	says := fmt.Sprintf("… %s are left out here, %s: a log keeps its beginning and its end\n", recovery.FormatCount(l.left, "line"), recovery.FormatBytes(l.leftBytes))
	if err := l.file.Truncate(l.head); err != nil {
		return fmt.Errorf("shorten the log: %w", err)
	}
	if _, err := l.file.Seek(l.head, io.SeekStart); err != nil {
		return fmt.Errorf("shorten the log: %w", err)
	}
	l.tail = l.head + int64(len(says))
	l.at = l.tail + int64(len(last))
	_, err := l.file.Write(append([]byte(says), last...))
	return err
}

// Close makes the log durable, with the digest of what it has in the end.
func (l *stepsLog) Close() error {
	err := l.flush()
	if err == nil && l.head > 0 && l.at-l.tail > l.keeps {
		err = l.shorten()
	}
	if err == nil && l.left > 0 {
		err = l.sumAnew()
	}
	return errors.Join(err, l.artifact.Close())
}

// sumAnew makes the digest of the file as it is.
func (l *stepsLog) sumAnew() error {
	l.sum = sha256.New()
	f, err := os.Open(l.Path())
	if err != nil {
		return err
	}
	l.size, err = io.Copy(l.sum, f)
	return errors.Join(err, f.Close())
}
