// As much JSON as a module needs: find a value in a text, look at it, write a new text.
//
// A value is the place in the text where it is written, so numbers of any size stay exactly what they are.
#ifndef JSON_H
#define JSON_H

#include "hookswitch.h"

// A JSON value, as it is written.
typedef hs_text json;

enum { JSON_DEPTH_MAX = 100 };

// Whether `text` is one JSON value in UTF-8, no more than JSON_DEPTH_MAX deep; `value` is then that value.
bool json_parse(hs_text text, json *value);
// The value at a JSON pointer such as "/a/0/b".
bool json_find(json value, hs_text pointer, json *found);
// The string that a value is, without escapes; false for what is no string.
bool json_string(json value, hs_text *text);
// Whether the value is a number without fraction and exponent.
bool json_is_integer(json value);
// Steps through an object: `*at` begins as NULL. False after the last member, and for what is no object.
bool json_member(json object, const char **at, hs_text *name, json *value);
// Steps through an array: `*at` begins as NULL. False after the last item, and for what is no array.
bool json_item(json array, const char **at, json *value);

// A text that grows.
typedef struct {
  char *data;
  size_t length, capacity;
} buffer;

void put(buffer *to, hs_text text);
#define put_literal(to, literal) put((to), hs_literal(literal))
// As a JSON string, in quotes.
void put_string(buffer *to, hs_text text);
static inline hs_text text_of(const buffer *from) { return (hs_text){from->data, from->length}; }

#endif
