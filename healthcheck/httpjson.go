package healthcheck

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// ValidJSONPath returns what is wrong with a path into a JSON document, if
// anything.
func ValidJSONPath(path string) error {
	if slices.Contains(strings.Split(path, "."), "") {
		return fmt.Errorf("%q is not a path of field names with dots between them", shorten(path))
	}
	return nil
}

// validJSONValue returns what is wrong with the value that a field is to have.
func validJSONValue(value any) error {
	switch value.(type) {
	case string, float64, bool:
		return nil
	}
	return errors.New("a field can only be compared with a text, a number or a truth value")
}

// judgeJSON compares fields of a document with what is expected of them, in the
// order of paths.
func judgeJSON(body []byte, paths []string, want map[string]any) (Result, bool) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var document any
	err := d.Decode(&document)
	if err == nil {
		if _, after := d.Token(); !errors.Is(after, io.EOF) {
			err = errors.New("something follows the document")
		}
	}
	switch {
	case err != nil && len(body) == readLimit:
		return Result{Outcome: Fail, Reason: ReasonTooLong, Detail: fmt.Sprintf("the document does not end in the first %d bytes", readLimit)}, false
	case err != nil:
		return Result{Outcome: Fail, Reason: ReasonMalformed, Detail: "not JSON: " + quoted(body)}, false
	}
	for _, path := range paths {
		got, there := lookUp(document, path)
		switch {
		case !there:
			return Result{Outcome: Fail, Reason: ReasonBody, Detail: shorten(path) + " is missing"}, false
		case !equalJSON(got, want[path]):
			text, _ := json.Marshal(got) // what was decoded can be encoded
			return Result{Outcome: Fail, Reason: ReasonBody, Detail: shorten(path) + " is " + shorten(string(text))}, false
		}
	}
	return Result{}, true
}

// lookUp follows a path of field names, and of indices from 0 where there is a
// list.
func lookUp(document any, path string) (any, bool) {
	for name := range strings.SplitSeq(path, ".") {
		switch at := document.(type) {
		case map[string]any:
			next, there := at[name]
			if !there {
				return nil, false
			}
			document = next
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i < 0 || i >= len(at) {
				return nil, false
			}
			document = at[i]
		default:
			return nil, false
		}
	}
	return document, true
}

func equalJSON(got, want any) bool {
	number, isNumber := got.(json.Number)
	if !isNumber {
		switch got.(type) {
		case string, bool:
			return got == want
		}
		return false
	}
	value, err := number.Float64()
	return err == nil && value == want
}
