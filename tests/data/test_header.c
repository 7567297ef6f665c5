#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/data/header.h"
#include "common/data/header_cards.h"
#include "tests/support.h"

static struct header h;
static struct err err;

static void setup(void)
{
    h = (struct header){0};
    err = (struct err){0};
}

static void teardown(void)
{
    header_done(&h);
}

/* The lines of a card, one after another. */
struct lines {
    char text[20 * HEADER_LINE + 1];
    size_t n;
};

static int collect(void *arg, const char *text, struct err *e)
{
    struct lines *lines = arg;
    (void)e;
    ck_assert_uint_eq(strlen(text), HEADER_LINE);
    ck_assert_uint_lt(lines->n, 20);
    memcpy(lines->text + lines->n * HEADER_LINE, text, HEADER_LINE + 1);
    lines->n++;
    return 0;
}

static struct lines format(size_t card)
{
    struct lines lines = {.n = 0};
    support_ok(header_format_card(&h.cards[card], collect, &lines, &err), &err);
    return lines;
}

static void parse(const char *line)
{
    support_ok(header_parse_line(&h, line, HEADER_OF_IMAGE, &err), &err);
}

/* A text goes on over 20000 lines: its cost would grow with the square of its length. */
START_TEST(test_header_endless_text)
{
    const char *text = NULL;
    parse("LONG    = 'a&'");
    for (int i = 0; i < 20000; i++) {
        parse(
            "CONTINUE  'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb&'");
    }
    ck_assert(header_get_string(&h, "LONG", &text));
    ck_assert_uint_ge(strlen(text), HEADER_MAX_TEXT);
    ck_assert_uint_lt(strlen(text), HEADER_MAX_TEXT + HEADER_LINE);
    ck_assert_uint_gt(h.n, 18000); /* the rest are comments */
    ck_assert_int_eq(h.cards[h.n - 1].type, CARD_COMMENT);
}
END_TEST

START_TEST(test_header_set_and_get)
{
    const char *text = NULL;
    double real = 0;
    long whole = 0;
    bool flag = false;
    support_ok(header_set_string(&h, "TARGNAME", "NGC 1068", "name", &err), &err);
    support_ok(header_set_real(&h, "ra_ref", 150.1163, NULL, &err), &err);
    support_ok(header_set_int(&h, "SUBSIZE1", 2048, NULL, &err), &err);
    support_ok(header_set_bool(&h, "IS_IMPRT", true, NULL, &err), &err);
    ck_assert(header_get_string(&h, "targname", &text));
    ck_assert_str_eq(text, "NGC 1068");
    ck_assert(header_get_real(&h, "RA_REF", &real));
    ck_assert_double_eq(real, 150.1163);
    ck_assert(header_get_int(&h, "SUBSIZE1", &whole));
    ck_assert_int_eq(whole, 2048);
    ck_assert(header_get_real(&h, "SUBSIZE1", &real)); /* a whole number is a number */
    ck_assert_double_eq(real, 2048);
    ck_assert(header_get_bool(&h, "IS_IMPRT", &flag));
    ck_assert(flag);
    /* absent, or of another kind: outputs untouched */
    ck_assert(!header_get_int(&h, "RA_REF", &whole));
    ck_assert_int_eq(whole, 2048);
    ck_assert(!header_get_string(&h, "RA_REF", &text));
    ck_assert(!header_get_real(&h, "NONE", &real));
    ck_assert(!header_find(&h, "NONE"));
}
END_TEST

START_TEST(test_header_replace_keeps_place_and_comment)
{
    support_ok(header_set_int(&h, "A", 1, "first", &err), &err);
    support_ok(header_set_int(&h, "B", 2, "second", &err), &err);
    support_ok(header_set_string(&h, "A", "new", NULL, &err), &err);
    ck_assert_uint_eq(h.n, 2);
    ck_assert_str_eq(h.cards[0].text, "new");
    ck_assert_str_eq(h.cards[0].comment, "first");
    ck_assert_int_eq(h.cards[0].type, CARD_STRING);
    header_remove(&h, "a");
    ck_assert_uint_eq(h.n, 1);
    ck_assert_str_eq(h.cards[0].keyword, "B");
}
END_TEST

START_TEST(test_header_copy)
{
    struct header copy = {0};
    parse("COMMENT two words");
    parse("X       =                  1.5 / [um] a number");
    support_ok(header_set_int(&copy, "OLD", 1, NULL, &err), &err);
    support_ok(header_copy(&copy, &h, &err), &err);
    ck_assert_uint_eq(copy.n, 2);
    ck_assert_int_eq(copy.cards[0].type, CARD_COMMENT);
    ck_assert_str_eq(copy.cards[1].comment, "[um] a number");
    header_done(&copy);
}
END_TEST

START_TEST(test_header_reals_read_back_exactly)
{
    static const double values[] = {
        0, 1, -12345.6, 0.1, 1e-300, 2.0 / 3, 60381.119999999995, 150.11619587649998};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        double back = 99;
        support_ok(header_set_real(&h, "V", values[i], NULL, &err), &err);
        struct lines lines = format(0);
        header_done(&h);
        parse(lines.text);
        ck_assert_int_eq(h.cards[0].type, CARD_REAL);
        ck_assert(header_get_real(&h, "V", &back));
        ck_assert_double_eq(back, values[i]);
        header_done(&h);
    }
}
END_TEST

START_TEST(test_header_not_finite_has_no_value)
{
    double v = 7;
    support_ok(header_set_real(&h, "V", NAN, "why", &err), &err);
    struct lines lines = format(0);
    header_done(&h);
    parse(lines.text);
    ck_assert_uint_eq(h.n, 1);
    ck_assert(!header_get_real(&h, "V", &v));
    ck_assert_double_eq(v, 7);
    ck_assert_str_eq(h.cards[0].comment, "why");
}
END_TEST

START_TEST(test_header_parses_values)
{
    bool flag = true;
    double v = 0;
    long n = 0;
    const char *text = NULL;
    parse("FLAG    =                    F / no");
    parse("NEG     =                  -17");
    parse("EXPO    =             1.5D+003 / Fortran");
    parse("QUOTE   = 'it''s / here'       / yes");
    parse("EMPTY   = ''");
    parse("        Target information");
    parse("HIERARCH ESO DET ID = 'abc' / long");
    ck_assert(header_get_bool(&h, "FLAG", &flag));
    ck_assert(!flag);
    ck_assert(header_get_int(&h, "NEG", &n));
    ck_assert_int_eq(n, -17);
    ck_assert(header_get_real(&h, "EXPO", &v));
    ck_assert_double_eq(v, 1500);
    ck_assert(header_get_string(&h, "QUOTE", &text));
    ck_assert_str_eq(text, "it's / here");
    ck_assert_str_eq(header_find(&h, "QUOTE")->comment, "yes");
    ck_assert(header_get_string(&h, "EMPTY", &text));
    ck_assert_str_eq(text, "");
    ck_assert_int_eq(h.cards[5].type, CARD_BLANK);
    ck_assert_str_eq(h.cards[5].text, "Target information");
    ck_assert(header_get_string(&h, "ESO DET ID", &text));
    ck_assert_str_eq(text, "abc");
}
END_TEST

START_TEST(test_header_leaves_structure_out)
{
    parse("SIMPLE  =                    T");
    parse("NAXIS12 =                    1");
    parse("BZERO   =           2147483648");
    parse("CHECKSUM= 'x'");
    parse("NAXISX  =                    1");
    ck_assert_uint_eq(h.n, 1);
    ck_assert_str_eq(h.cards[0].keyword, "NAXISX");
    ck_assert(header_is_structural("TTYPE3", true));
    ck_assert(!header_is_structural("TTYPE3", false));
}
END_TEST

START_TEST(test_header_long_strings_round_trip)
{
    char text[400];
    for (size_t i = 0; i < sizeof text - 1; i++) {
        text[i] = i % 7 == 0 ? '\'' : i % 11 == 0 ? ' ' : (char)('a' + i % 26);
    }
    /* every length, so that a quote falls on every place of a line's end */
    for (size_t n = 1; n < sizeof text - 1; n++) {
        char kept = text[n];
        const char *back = NULL;
        text[n] = '\0';
        if (text[n - 1] != ' ') { /* trailing blanks do not count in FITS */
            support_ok(header_set_string(&h, "S_REGION", text, "c", &err), &err);
            struct lines lines = format(0);
            header_done(&h);
            for (size_t i = 0; i < lines.n; i++) {
                char line[HEADER_LINE + 1];
                memcpy(line, lines.text + i * HEADER_LINE, HEADER_LINE);
                line[HEADER_LINE] = '\0';
                parse(line);
            }
            ck_assert_uint_eq(h.n, 1);
            ck_assert(header_get_string(&h, "S_REGION", &back));
            ck_assert_str_eq(back, text);
            header_done(&h);
        }
        text[n] = kept;
    }
}
END_TEST

START_TEST(test_header_hostile_lines)
{
    /* none may crash; what cannot be understood becomes commentary */
    parse("CONTINUE  'nothing before it'");
    parse("CONTINUE");
    parse("=");
    parse("HIERARCH =");
    parse("KEY     = 'no end");
    parse("KEY     =");
    parse("\1\2\3");
    support_ok(header_set_string(&h, "BAD", "a\nb\x80", NULL, &err), &err);
    struct lines lines = format(h.n - 1);
    ck_assert_ptr_nonnull(strstr(lines.text, "'a?b?"));
    ck_assert_int_eq(
        header_append(&h,
                      "A KEYWORD OF MORE THAN SEVENTY-ONE BYTES IS NOT TAKEN "
                      "BECAUSE NO LINE COULD HOLD IT",
                      CARD_INT, "1", "", &err),
        ERR_INPUT);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("header");
    TCase *t = tcase_create("header");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_header_set_and_get);
    tcase_add_test(t, test_header_endless_text);
    tcase_add_test(t, test_header_replace_keeps_place_and_comment);
    tcase_add_test(t, test_header_copy);
    tcase_add_test(t, test_header_reals_read_back_exactly);
    tcase_add_test(t, test_header_not_finite_has_no_value);
    tcase_add_test(t, test_header_parses_values);
    tcase_add_test(t, test_header_leaves_structure_out);
    tcase_add_test(t, test_header_long_strings_round_trip);
    tcase_add_test(t, test_header_hostile_lines);
    suite_add_tcase(s, t);
    return support_run(s);
}
