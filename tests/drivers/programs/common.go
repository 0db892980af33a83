// What the programs in Go share.
package main

import (
	"fmt"
	"time"
)

func check(name string) { fmt.Println("##", name) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// An error of a server, as far as servers must agree.
func said(severity, code, message, constraint, table, column string) string {
	return fmt.Sprint(severity, " ", code, " ", message, " ", constraint, " ", table, " ", column)
}

func spellPlain(v any) string {
	switch x := v.(type) {
	case []byte:
		if len(x) > 60 {
			return fmt.Sprintf("%d bytes", len(x))
		}
		return fmt.Sprintf("%q", string(x))
	case string:
		if len(x) > 60 {
			return fmt.Sprintf("%d characters", len(x))
		}
		return fmt.Sprintf("%q", x)
	case time.Time:
		return x.UTC().Format(time.RFC3339Nano)
	}
	return fmt.Sprintf("%v", v)
}
