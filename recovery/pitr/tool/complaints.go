package tool

import (
	"bytes"
	"io"
	"strings"
)

// complaints takes what a program complains of off the beginning of its answer.
type complaints struct {
	out io.Writer
	// of is Program.Complaint.
	of func(line string) (text string, fatal bool)

	said []string
	// fatal is why the program fails, as far as it was said here.
	fatal []string
	// begun is the beginning of a line of which it is open what it is.
	begun []byte
	past  bool
}

// longest bounds the line of a complaint; what is longer is the answer.
const longest = 4 << 10

func (c *complaints) Write(p []byte) (int, error) {
	if c.past {
		return c.out.Write(p)
	}
	c.begun = append(c.begun, p...)
	for !c.past {
		line, rest, whole := bytes.Cut(c.begun, []byte("\n"))
		if !whole {
			if len(line) > longest {
				return len(p), c.end()
			}
			return len(p), nil
		}
		if !c.is(string(line)) {
			return len(p), c.end()
		}
		c.begun = rest
	}
	return len(p), nil
}

// is takes a line, if it is one of a complaint. What follows the one by which the program
// fails belongs to it.
func (c *complaints) is(line string) bool {
	text, fatal := c.of(line)
	switch {
	case len(c.fatal) > 0:
		text = strings.TrimSpace(line)
		fatal = true
	case text == "":
		return false
	}
	c.said = append(c.said, text)
	if fatal {
		c.fatal = append(c.fatal, text)
	}
	return true
}

// end gives what is left to the answer: no complaint comes any more.
func (c *complaints) end() error {
	left := c.begun
	c.past, c.begun = true, nil
	if len(left) == 0 {
		return nil
	}
	_, err := c.out.Write(left)
	return err
}
