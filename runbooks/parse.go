package runbooks

// Parse reads a runbook. The name is the file's, for messages. All problems are
// reported at once; the runbook is never nil and holds whatever could be read,
// but nothing may be planned from it if the problems have Failed.
func Parse(name string, file []byte) (*Runbook, Problems) {
	p := &parser{
		rb:   &Runbook{Name: name},
		runs: map[int]bool{}, argued: map[Pos]bool{}, names: map[string]Pos{}, restored: map[string]Pos{},
		applications: map[string]Pos{},
	}
	if problem, ok := readable(file); !ok {
		return p.rb, Problems{problem}
	}
	p.src = newSource(file)
	if problems := p.src.beyondBounds(); len(problems) > 0 {
		return p.rb, problems.capped()
	}
	p.findInvisible()
	front, body := p.split()
	if front != nil {
		p.readFront(front)
	}
	if body >= 0 {
		p.readBody(body)
	}
	p.agree()
	p.findSecrets()
	p.findNoBreakSpaces()
	p.problems.sort()
	return p.rb, p.problems.capped()
}

// parser gathers the runbook and everything that is wrong with it.
type parser struct {
	src      *source
	rb       *Runbook
	problems Problems
	// frontOK says that components and copies are known as far as the author
	// wrote them, so that a name that is missing is the name's fault.
	frontOK bool
	// unclear says that a block which may restore something could not be read.
	unclear bool
	// runs holds the lines that a run uses: the front matter and the blocks
	// that run.
	runs map[int]bool
	// argued holds the references that become part of a command line.
	argued map[Pos]bool
	// names are the names of checks and scripts.
	names map[string]Pos
	// restored, switched and asked are the components that blocks name.
	restored        map[string]Pos
	switched, asked []use
	// applications are the variables of the applications that are started, visited
	// is where an address is asked by a variable.
	applications map[string]Pos
	visited      []Pos
	// formerly is where the other names of the system stand.
	formerly []Pos
}

func (p *parser) fail(at Pos, says, do string) { p.problems.add(Error, at, says, do) }

func (p *parser) warn(at Pos, says, do string) { p.problems.add(Warning, at, says, do) }
