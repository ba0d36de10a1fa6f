package sql

import (
	"encoding"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
)

// values are the texts of the arguments, nil for null.
func (s Statement) values() ([][]byte, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	values := make([][]byte, len(s.Args))
	for i, arg := range s.Args {
		var err error
		if values[i], err = textOf(arg); err != nil {
			return nil, wrong(fmt.Sprintf("Args[%d]", i), ": %w", err)
		}
	}
	return values, nil
}

// textOf writes a value as the server reads it in a literal. Errors do not repeat it.
func textOf(arg any) ([]byte, error) {
	value := reflect.ValueOf(arg)
	if !value.IsValid() || value.Kind() == reflect.Pointer && value.IsNil() {
		return nil, nil
	}
	switch arg := arg.(type) {
	case json.RawMessage: // as it is: json.Marshal would drop spaces, and write < and & otherwise
		if arg == nil {
			return []byte("null"), nil
		}
		if !json.Valid(arg) {
			return nil, errors.New("a json.RawMessage is not JSON")
		}
		return arg, nil
	case json.Marshaler: // such as json.RawMessage; a time is one too, and below
		if _, ok := arg.(encoding.TextMarshaler); !ok {
			return jsonOf(arg)
		}
	case []byte:
		if arg == nil {
			return nil, nil
		}
		return append([]byte(`\x`), hex.EncodeToString(arg)...), nil
	}
	if text, ok := arg.(encoding.TextMarshaler); ok {
		return text.MarshalText()
	}
	switch value.Kind() {
	case reflect.Pointer:
		return textOf(value.Elem().Interface())
	case reflect.String:
		return []byte(value.String()), nil // never nil, which would be null
	case reflect.Bool:
		return strconv.AppendBool(nil, value.Bool()), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.AppendInt(nil, value.Int(), 10), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return strconv.AppendUint(nil, value.Uint(), 10), nil
	case reflect.Float32:
		return strconv.AppendFloat(nil, value.Float(), 'g', -1, 32), nil
	case reflect.Float64:
		return strconv.AppendFloat(nil, value.Float(), 'g', -1, 64), nil
	}
	return jsonOf(arg)
}

func jsonOf(arg any) ([]byte, error) {
	text, err := json.Marshal(arg)
	if err != nil {
		return nil, fmt.Errorf("a %T cannot be written as JSON", arg)
	}
	return text, nil
}
