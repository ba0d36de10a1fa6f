package listener

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
)

// DecodeJSON decodes a payload of the subscription's channel. Unlike json.Unmarshal it takes null only for a T that can
// hold it, such as a pointer, so that nothing but an object becomes a struct or a map. Its errors name the channel and
// the byte, counted from 0, at which the payload ceases to make sense, except for what a type's own UnmarshalJSON
// refuses, which has no position. Below the top a null leaves a field as it is, as json.Unmarshal does.
func DecodeJSON[T any](s *Subscription, payload string) (value T, err error) {
	if value, err = decode[T]([]byte(payload)); err != nil {
		var zero T
		return zero, fmt.Errorf("channel %q: payload is not the JSON expected: %w", s.channel, err)
	}
	return value, nil
}

func decode[T any](payload []byte) (value T, err error) {
	if len(bytes.TrimSpace(payload)) == 0 {
		return value, errors.New("at byte 0: it is empty")
	}
	if string(bytes.TrimSpace(payload)) == "null" && !holdsNull[T]() {
		return value, fmt.Errorf("at byte %d: null is no %s", bytes.IndexByte(payload, 'n'), reflect.TypeFor[T]())
	}
	err = json.Unmarshal(payload, &value)
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return value, fmt.Errorf("at byte %d: %w", max(0, syntax.Offset-1), err)
	}
	if mismatch, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return value, fmt.Errorf("at byte %d: %w", max(0, mismatch.Offset-1), err)
	}
	return value, err
}

// holdsNull says whether null is a value of T of its own, rather than an empty T.
func holdsNull[T any]() bool {
	kind := reflect.TypeFor[T]().Kind()
	_, decodes := any(new(T)).(json.Unmarshaler)
	return kind == reflect.Pointer || kind == reflect.Interface || decodes
}
