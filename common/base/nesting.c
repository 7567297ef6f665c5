#include "common/base/nesting.h"

bool nesting_within(const char *text, size_t n, int depth)
{
    int open = 0;
    bool quoted = false;
    for (size_t i = 0; i < n; i++) {
        if (quoted && text[i] == '\\') {
            i++;
        } else if (quoted) {
            quoted = text[i] != '"';
        } else if (text[i] == '"') {
            quoted = true;
        } else if (text[i] == '{' || text[i] == '[') {
            if (++open > depth) {
                return false;
            }
        } else if (text[i] == '}' || text[i] == ']') {
            open--;
        }
    }
    return true;
}
