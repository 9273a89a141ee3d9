#include "json.h"

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

static const char *skip_space(const char *at, const char *end) {
  while (at < end && is_space(*at)) at++;
  return at;
}

// Each skip_… takes the place where something begins, and answers where it ends, or NULL if it is not well formed.

static const char *skip_digits(const char *at, const char *end) {
  const char *begin = at;
  while (at < end && is_digit(*at)) at++;
  return at == begin ? NULL : at;
}

static const char *skip_number(const char *at, const char *end) {
  if (at < end && *at == '-') at++;
  if (at < end && *at == '0') at++;
  else at = skip_digits(at, end);
  if (at && at < end && *at == '.') at = skip_digits(at + 1, end);
  if (at && at < end && (*at == 'e' || *at == 'E')) {
    at++;
    if (at < end && (*at == '+' || *at == '-')) at++;
    at = skip_digits(at, end);
  }
  return at;
}

// One character of UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF.
static const char *skip_character(const char *at, const char *end) {
  const unsigned char *c = (const unsigned char *)at;
  size_t more = *c < 0x80 ? 0 : *c < 0xC2 ? 4 : *c < 0xE0 ? 1 : *c < 0xF0 ? 2 : *c < 0xF5 ? 3 : 4;
  if (more == 4 || (size_t)(end - at) <= more) return NULL;
  for (size_t i = 1; i <= more; i++)
    if ((c[i] & 0xC0) != 0x80) return NULL;
  if ((*c == 0xE0 && c[1] < 0xA0) || (*c == 0xED && c[1] > 0x9F)) return NULL;
  if ((*c == 0xF0 && c[1] < 0x90) || (*c == 0xF4 && c[1] > 0x8F)) return NULL;
  return at + more + 1;
}

static bool read_hex(const char *at, const char *end, unsigned *unit) {
  if (end - at < 4) return false;
  *unit = 0;
  for (int i = 0; i < 4; i++) {
    char c = at[i], lower = c | 0x20;
    if (is_digit(c)) *unit = *unit * 16 + (unsigned)(c - '0');
    else if (lower >= 'a' && lower <= 'f') *unit = *unit * 16 + (unsigned)(lower - 'a') + 10;
    else return false;
  }
  return true;
}

// What stands after a backslash, as a character; both halves of a surrogate pair together.
static const char *read_escape(const char *at, const char *end, unsigned *character) {
  static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
  if (at == end) return NULL;
  if (*at != 'u') {
    const char *found = memchr(names, *at, sizeof names - 1);
    if (!found) return NULL;
    *character = (unsigned char)values[found - names];
    return at + 1;
  }
  unsigned low;
  if (!read_hex(at + 1, end, character)) return NULL;
  at += 5;
  if (*character < 0xD800 || *character > 0xDFFF) return at;
  if (*character > 0xDBFF || end - at < 6 || at[0] != '\\' || at[1] != 'u' || !read_hex(at + 2, end, &low)) return NULL;
  if (low < 0xDC00 || low > 0xDFFF) return NULL;
  *character = 0x10000 + ((*character - 0xD800) << 10) + (low - 0xDC00);
  return at + 6;
}

static const char *skip_string(const char *at, const char *end) {
  if (at == end || *at != '"') return NULL;
  at++;
  while (at && at < end && *at != '"') {
    unsigned character;
    if ((unsigned char)*at < 0x20) return NULL;
    at = *at == '\\' ? read_escape(at + 1, end, &character) : skip_character(at, end);
  }
  return at && at < end ? at + 1 : NULL;
}

static const char *skip_word(const char *at, const char *end, hs_text word) {
  bool same = (size_t)(end - at) >= word.length && memcmp(at, word.data, word.length) == 0;
  return same ? at + word.length : NULL;
}

static const char *skip_value(const char *at, const char *end, int depth);

// What stands between the brackets of an object or an array, and the closing bracket.
static const char *skip_items(const char *at, const char *end, char close, int depth) {
  at = skip_space(at, end);
  if (at < end && *at == close) return at + 1;
  for (;;) {
    if (close == '}') {
      at = skip_string(skip_space(at, end), end);
      if (!at) return NULL;
      at = skip_space(at, end);
      if (at == end || *at++ != ':') return NULL;
    }
    at = skip_value(at, end, depth);
    if (!at) return NULL;
    at = skip_space(at, end);
    if (at == end) return NULL;
    if (*at == close) return at + 1;
    if (*at++ != ',') return NULL;
  }
}

static const char *skip_value(const char *at, const char *end, int depth) {
  at = skip_space(at, end);
  if (at == end || depth == 0) return NULL;
  switch (*at) {
    case '{': return skip_items(at + 1, end, '}', depth - 1);
    case '[': return skip_items(at + 1, end, ']', depth - 1);
    case '"': return skip_string(at, end);
    case 't': return skip_word(at, end, hs_literal("true"));
    case 'f': return skip_word(at, end, hs_literal("false"));
    case 'n': return skip_word(at, end, hs_literal("null"));
    default: return skip_number(at, end);
  }
}

bool json_parse(hs_text text, json *value) {
  const char *end = text.data + text.length, *begin = skip_space(text.data, end);
  const char *after = skip_value(begin, end, JSON_DEPTH_MAX);
  if (!after || skip_space(after, end) != end) return false;
  *value = (json){begin, (size_t)(after - begin)};
  return true;
}

// Where a value ends that json_parse has checked: only brackets and quotes have to be looked at.
static const char *after_value(const char *at, const char *end) {
  int depth = 0;
  while (at < end) {
    char c = *at;
    if (depth == 0 && (c == ',' || c == '}' || c == ']' || is_space(c))) return at;
    at++;
    if (c == '"')
      while (*at++ != '"') at += at[-1] == '\\';
    if (c == '{' || c == '[') depth++;
    if (c == '}' || c == ']') depth--;
    if (depth == 0 && (c == '"' || c == '}' || c == ']')) return at;
  }
  return at;
}

// Steps to the next item of such a value.
static bool next(json from, const char **at, char open, hs_text *name, json *value) {
  const char *end = from.data + from.length;
  if (from.length == 0 || from.data[0] != open) return false;
  const char *here = skip_space(*at ? *at : from.data + 1, end);
  if (*here == ',') here = skip_space(here + 1, end);
  if (here >= end - 1) return false;
  if (name) {
    const char *after = after_value(here, end);
    json_string((json){here, (size_t)(after - here)}, name);
    here = skip_space(skip_space(after, end) + 1, end);
  }
  *at = after_value(here, end);
  *value = (json){here, (size_t)(*at - here)};
  return true;
}

bool json_member(json object, const char **at, hs_text *name, json *value) { return next(object, at, '{', name, value); }
bool json_item(json array, const char **at, json *value) { return next(array, at, '[', NULL, value); }

// One step down: the last member of that name, or the item of that number.
static bool step(json value, hs_text token, json *found) {
  const char *at = NULL;
  hs_text name;
  json item;
  bool any = false;
  while (json_member(value, &at, &name, &item)) {
    if (!hs_equal(name, token)) continue;
    *found = item;
    any = true;
  }
  const char *digits = skip_digits(token.data, token.data + token.length);
  if (any || digits != token.data + token.length || (token.length > 1 && token.data[0] == '0')) return any;
  size_t left = strtoul(token.data, NULL, 10);
  while (json_item(value, &at, found))
    if (left-- == 0) return true;
  return false;
}

bool json_find(json value, hs_text pointer, json *found) {
  const char *at = pointer.data, *end = at + pointer.length;
  *found = value;
  while (at < end) {
    buffer token = {0};
    for (at++; at < end && *at != '/'; at++) {
      char c = *at;
      if (c == '~' && at + 1 < end) c = *++at == '1' ? '/' : '~';
      put(&token, (hs_text){&c, 1});
    }
    put(&token, (hs_text){"", 1});
    if (!step(*found, (hs_text){token.data, token.length - 1}, found)) return false;
  }
  return true;
}

bool json_string(json value, hs_text *text) {
  if (value.length < 2 || value.data[0] != '"') return false;
  const char *at = value.data + 1, *end = value.data + value.length - 1;
  char *to = malloc(value.length), *begin = to;
  if (!to) __builtin_trap();
  while (at < end) {
    unsigned c;
    if (*at != '\\') {
      *to++ = *at++;
      continue;
    }
    at = read_escape(at + 1, end, &c);
    if (c < 0x80) *to++ = (char)c;
    if (c >= 0x10000) *to++ = (char)(0xF0 | c >> 18);
    else if (c >= 0x800) *to++ = (char)(0xE0 | c >> 12);
    else if (c >= 0x80) *to++ = (char)(0xC0 | c >> 6);
    if (c >= 0x10000) *to++ = (char)(0x80 | (c >> 12 & 0x3F));
    if (c >= 0x800) *to++ = (char)(0x80 | (c >> 6 & 0x3F));
    if (c >= 0x80) *to++ = (char)(0x80 | (c & 0x3F));
  }
  *text = (hs_text){begin, (size_t)(to - begin)};
  return true;
}

bool json_is_integer(json value) {
  const char *at = value.data, *end = at + value.length;
  if (at < end && *at == '-') at++;
  return skip_digits(at, end) == end;
}

void put(buffer *to, hs_text text) {
  if (to->capacity - to->length < text.length) {
    to->capacity = 2 * to->capacity + text.length + 64;
    to->data = realloc(to->data, to->capacity);
    if (!to->data) __builtin_trap();
  }
  if (text.length) memcpy(to->data + to->length, text.data, text.length);
  to->length += text.length;
}

void put_string(buffer *to, hs_text text) {
  static const char hex[] = "0123456789abcdef";
  put_literal(to, "\"");
  for (size_t i = 0; i < text.length; i++) {
    char c = text.data[i];
    char escape[] = {'\\', 'u', '0', '0', hex[c >> 4 & 15], hex[c & 15]};
    if (c == '"' || c == '\\') put(to, (hs_text){(char[]){'\\', c}, 2});
    else if ((unsigned char)c < 0x20) put(to, (hs_text){escape, sizeof escape});
    else put(to, (hs_text){&c, 1});
  }
  put_literal(to, "\"");
}
