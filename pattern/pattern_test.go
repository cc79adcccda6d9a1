package pattern_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// What would panic at its first use, perhaps in the middle of a recovery, is
// found here: every expression of the program compiles.
func TestNew_everyExpression(t *testing.T) {
	constants, found := map[string]string{}, 0
	var calls []ast.Expr
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != ".." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "tools"):
			return fs.SkipDir
		case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ValueSpec:
				for i, name := range n.Names {
					if i < len(n.Values) {
						if text, ok := literal(n.Values[i], nil); ok {
							constants[name.Name] = text
						}
					}
				}
			case *ast.CallExpr:
				if f, ok := n.Fun.(*ast.SelectorExpr); ok && f.Sel.Name == "New" {
					if x, ok := f.X.(*ast.Ident); ok && x.Name == "pattern" {
						calls = append(calls, n.Args[0])
					}
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, call := range calls {
		text, ok := literal(call, constants)
		if !ok {
			t.Errorf("pattern.New wants literals and constants, not %#v", call)
			continue
		}
		if _, err := regexp.Compile(text); err != nil {
			t.Error(err)
		}
		found++
	}
	if found < 50 {
		t.Errorf("found %d expressions, which is too few to be all", found)
	}
}

// literal is the text of an expression of literals, named constants and pluses.
func literal(e ast.Expr, constants map[string]string) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, e.Kind == token.STRING && err == nil
	case *ast.Ident:
		text, ok := constants[e.Name]
		return text, ok
	case *ast.BinaryExpr:
		x, okX := literal(e.X, constants)
		y, okY := literal(e.Y, constants)
		return x + y, e.Op == token.ADD && okX && okY
	}
	return "", false
}
