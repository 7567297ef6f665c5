/* Association files as the peer writes them, and what is refused of others. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "jobs/association.h"
#include "tests/support.h"

static struct err err;
static struct association a;

static int parse(const char *text, const char *recipe)
{
    err = (struct err){0};
    return association_parse(text, strlen(text), "f_asn.json", recipe, &a, &err);
}

#define MEMBER(NAME, TYPE) "{\"expname\": \"" NAME "\", \"exptype\": \"" TYPE "\"}"
#define PRODUCT(NAME, MEMBERS) "{\"name\": \"" NAME "\", \"members\": [" MEMBERS "]}"
#define FILE_OF(TYPE, PRODUCTS)                                                        \
    "{\"asn_type\": \"" TYPE "\", \"asn_rule\": \"r\", \"asn_id\": \"o001\","          \
    " \"asn_pool\": \"p.csv\", \"program\": \"01234\", \"code_version\": \"3.0.0\","   \
    " \"products\": [" PRODUCTS "]}"

START_TEST(test_association_spec2)
{
    ck_assert_int_eq(
        parse(
            FILE_OF(
                "spec2",
                PRODUCT("a_nrs1",
                        MEMBER("a_nrs1_rate.fits", "science") "," MEMBER(
                            "b_nrs1_rate.fits.gz",
                            "BACKGROUND") "," MEMBER("c_nrs1_rate.fits",
                                                     "imprint") "," MEMBER("d_rate."
                                                                           "fits",
                                                                           "target_"
                                                                           "acquisitio"
                                                                           "n")) ","
                                                                                 "{\"me"
                                                                                 "mbers"
                                                                                 "\": "
                                                                                 "[" MEMBER(
                                                                                     "b"
                                                                                     "_"
                                                                                     "n"
                                                                                     "r"
                                                                                     "s"
                                                                                     "1"
                                                                                     "_"
                                                                                     "r"
                                                                                     "a"
                                                                                     "t"
                                                                                     "e"
                                                                                     "."
                                                                                     "f"
                                                                                     "i"
                                                                                     "t"
                                                                                     "s",
                                                                                     "s"
                                                                                     "c"
                                                                                     "i"
                                                                                     "e"
                                                                                     "n"
                                                                                     "c"
                                                                                     "e") "]}"),
            NULL),
        0);
    ck_assert_str_eq(a.recipe, "spec2");
    ck_assert_str_eq(a.rule, "r");
    ck_assert_str_eq(a.id, "o001");
    ck_assert_str_eq(a.pool, "p.csv");
    ck_assert_str_eq(a.program, "01234");
    ck_assert_uint_eq(a.n_products, 2);
    const struct association_product *p = a.products;
    ck_assert_uint_eq(p->n_members, 4);
    ck_assert_str_eq(p->members[0].base, "a_nrs1");
    ck_assert_str_eq(p->members[1].base, "b_nrs1");
    ck_assert_str_eq(p->members[1].exptype, "background");
    ck_assert_int_eq(p->members[0].role, ASSOCIATION_SCIENCE);
    ck_assert_int_eq(p->members[1].role, ASSOCIATION_BACKGROUND);
    ck_assert_int_eq(p->members[2].role, ASSOCIATION_IMPRINT);
    ck_assert_int_eq(p->members[3].role, ASSOCIATION_UNUSED);
    ck_assert_str_eq(p[1].name, "b_nrs1"); /* not given: that of the exposure */
    association_done(&a);
}
END_TEST

START_TEST(test_association_spec3)
{
    ck_assert_int_eq(
        parse(FILE_OF(
                  "spec3",
                  PRODUCT(
                      "p_g395h-f290lp",
                      MEMBER("a_cal.fits", "science") "," MEMBER(
                          "b_cal.fits",
                          "science") "," MEMBER("s_x1d.fits",
                                                "background") "," MEMBER("l_rate.fits",
                                                                         "imprint"))),
              "spec3"),
        0);
    ck_assert_str_eq(a.recipe, "spec3");
    ck_assert_str_eq(a.products->name, "p_g395h-f290lp");
    ck_assert_str_eq(a.products->members[1].base, "b");
    ck_assert_str_eq(a.products->members[2].base, "s");
    ck_assert_int_eq(a.products->members[3].role, ASSOCIATION_UNUSED);
    association_done(&a);
}
END_TEST

/* As asn_from_list writes them: the type is not said. */
START_TEST(test_association_type_from_members)
{
    ck_assert_int_eq(parse("{\"asn_type\": \"None\", \"products\": [" PRODUCT(
                               "p", MEMBER("a_cal.fits", "science")) "]}",
                           NULL),
                     0);
    ck_assert_str_eq(a.recipe, "spec3");
    association_done(&a);
    ck_assert_int_eq(
        parse("{\"products\": [" PRODUCT("p", MEMBER("a_rate.fits", "science")) "]}",
              NULL),
        0);
    ck_assert_str_eq(a.recipe, "spec2");
    association_done(&a);
    ck_assert_int_eq(
        parse("{\"products\": [" PRODUCT("p", MEMBER("a.fits", "science")) "]}",
              "spec3"),
        0);
    association_done(&a);
}
END_TEST

static const struct {
    const char *text, *recipe, *says;
} wrong[] = {
    {FILE_OF("spec2", "{\"name\": \"p\"}"), NULL,
     "f_asn.json: product 1 (p): has no list of members"},
    {FILE_OF("spec2", PRODUCT("p", "")), NULL, "product 1 (p): has no science member"},
    {FILE_OF("spec3", PRODUCT("p", MEMBER("b_x1d.fits", "background"))), NULL,
     "has no science member; expected is at least one"},
    {FILE_OF("spec2",
             PRODUCT("p", MEMBER("a_rate.fits", "science") "," MEMBER(
                              "b_rate.fits", "imprint") "," MEMBER("b_rate.fits",
                                                                   "imprint"))),
     NULL, "product 1 (p): member 3 (b_rate.fits): is named twice: member 2"},
    {FILE_OF("spec3", PRODUCT("p", MEMBER("a_cal.fits", "science") "," MEMBER(
                                       "a_cal.fits.gz", "science"))),
     NULL, "member 2 (a_cal.fits.gz): is named twice: member 1 is a_cal.fits"},
    {FILE_OF("spec3", PRODUCT("p", MEMBER("a_cal.fits", "science") "," MEMBER(
                                       "b_rate.fits", "science"))),
     NULL, "member 2 (b_rate.fits): is of another kind than a_cal.fits"},
    {FILE_OF("spec2", PRODUCT("p", MEMBER("a_rate.fits", "science") "," MEMBER(
                                       "b_rate.fits", "science"))),
     NULL, "has 2 science members"},
    {FILE_OF("spec2", PRODUCT("p", MEMBER("a_cal.fits", "science"))), NULL,
     "spec2 takes count-rate exposures (_rate.fits)"},
    {FILE_OF("spec3", PRODUCT("p", MEMBER("a_cal.fits", "science") "," MEMBER(
                                       "b_cal.fits", "background"))),
     NULL, "expected is their _x1d.fits"},
    {FILE_OF("spec3", PRODUCT("p", MEMBER("a_s3d.fits", "science"))), NULL,
     "not spectra or cubes"},
    {FILE_OF("spec3", PRODUCT("p", MEMBER("../a_cal.fits", "science"))), NULL,
     "member 1 (../a_cal.fits): expected is the name of a FITS file in the same "
     "folder"},
    {FILE_OF("spec3", PRODUCT("p", MEMBER("a_cal", "science"))), NULL,
     "expected is the name of a FITS file"},
    {FILE_OF("spec3", PRODUCT("p", MEMBER("_cal.fits", "science"))), NULL,
     "nothing is left"},
    {FILE_OF("spec3", PRODUCT("p/../../x", MEMBER("a_cal.fits", "science"))), NULL,
     "its name must be of A-Z"},
    {FILE_OF("spec3", "{\"members\": [" MEMBER("a_cal.fits", "science") "]}"), NULL,
     "product 1: has no name"},
    {FILE_OF("spec2", PRODUCT("b_nrs1", MEMBER("a_nrs1_rate.fits", "science"))), NULL,
     "expected is a_nrs1"},
    {FILE_OF("spec3", PRODUCT("p", MEMBER("a_cal.fits", "science")) "," PRODUCT(
                          "p", MEMBER("a_cal.fits", "science"))),
     NULL, "product 2 (p): product 1 has the same name"},
    {FILE_OF("spec3", PRODUCT("p", "{\"exptype\": \"science\"}")), NULL,
     "member 1: has no expname"},
    {FILE_OF("spec3", PRODUCT("p", "{\"expname\": \"a_cal.fits\"}")), NULL,
     "member 1 (a_cal.fits): has no exptype"},
    {FILE_OF("spec3", PRODUCT("p", "7")), NULL, "member 1: has no expname"},
    {FILE_OF("spec3", "7"), NULL, "product 1: is no object"},
    {FILE_OF("image2", PRODUCT("p", MEMBER("a_rate.fits", "science"))), NULL,
     "its asn_type is 'image2'; expected is spec2 or spec3"},
    {FILE_OF("spec2", PRODUCT("p", MEMBER("a_rate.fits", "science"))), "spec3",
     "its asn_type is spec2, not spec3"},
    {"{\"products\": [" PRODUCT("p", MEMBER("a.fits", "science")) "]}", NULL,
     "does not say what it is for"},
    {"{}", NULL, "does not say what it is for"},
    {FILE_OF("spec3", ""), NULL, "has no products"},
    {"[]", NULL, "does not say what it is for"},
    {"{\"a\": 1, \"a\": 2}", NULL, "is no JSON"},
    {"products: []", NULL, "is no JSON"},
    {"[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]", NULL, "nested deeper than 16"},
};

START_TEST(test_association_refuses)
{
    ck_assert_int_eq(parse(wrong[_i].text, wrong[_i].recipe), ERR_INPUT);
    ck_assert_msg(!strncmp(err.message, "f_asn.json: ", 12), "%s", err.message);
    ck_assert_msg(strstr(err.message, wrong[_i].says) != NULL, "%s", err.message);
}
END_TEST

/* What a writer has not finished can become one. */
START_TEST(test_association_cut)
{
    const char *whole =
        FILE_OF("spec2", PRODUCT("p", MEMBER("a_rate.fits", "science")));
    for (size_t n = 0; n < strlen(whole); n++) {
        err = (struct err){0};
        ck_assert_int_eq(association_parse(whole, n, "f_asn.json", NULL, &a, &err),
                         ERR_NODATA);
    }
}
END_TEST

/* Brackets within texts are no nesting, escaped quotes end no text. */
START_TEST(test_association_brackets_in_texts)
{
    ck_assert_int_eq(
        parse("{\"asn_pool\": \"[[[[[[[[[[[[[[[[[[[[\\\"[[\", \"asn_type\": \"spec2\","
              " \"products\": [" PRODUCT("p", MEMBER("a_rate.fits", "science")) "]}",
              NULL),
        0);
    association_done(&a);
}
END_TEST

START_TEST(test_association_bounds)
{
    size_t room = 60 * (ASSOCIATION_MAX_MEMBERS + 10), at;
    char *text = malloc(room);
    at = (size_t)snprintf(text, room,
                          "{\"asn_type\": \"spec3\", \"products\": [{"
                          "\"name\": \"p\", \"members\": [");
    for (int i = 0; i <= ASSOCIATION_MAX_MEMBERS; i++) {
        at += (size_t)snprintf(text + at, room - at,
                               "%s" MEMBER("a%d_cal.fits", "science"), i ? "," : "", i);
    }
    snprintf(text + at, room - at, "]}]}");
    ck_assert_int_eq(parse(text, NULL), ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.message, "more than 4000 members"));
    free(text);
    text = malloc(ASSOCIATION_MAX_BYTES + 1);
    memset(text, ' ', ASSOCIATION_MAX_BYTES + 1);
    ck_assert_int_eq(association_parse(text, ASSOCIATION_MAX_BYTES + 1, "f_asn.json",
                                       NULL, &a, &err),
                     ERR_INPUT);
    free(text);
}
END_TEST

START_TEST(test_association_read)
{
    char *folder = support_folder();
    const char *path = support_path(folder, "x_asn.json");
    const char *text = FILE_OF("spec2", PRODUCT("p", MEMBER("a_rate.fits", "science")));
    FILE *f = fopen(path, "w");
    fputs(text, f);
    fclose(f);
    support_ok(association_read(path, "spec2", &a, &err), &err);
    ck_assert_uint_eq(a.n_products, 1);
    association_done(&a);
    ck_assert_int_eq(association_read(folder, "spec2", &a, &err), ERR_INPUT);
    ck_assert_int_eq(
        association_read(support_path(folder, "y_asn.json"), "spec2", &a, &err),
        ERR_IO);
    support_remove(folder);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("association");
    TCase *tc = tcase_create("association");
    tcase_add_test(tc, test_association_spec2);
    tcase_add_test(tc, test_association_spec3);
    tcase_add_test(tc, test_association_type_from_members);
    tcase_add_loop_test(tc, test_association_refuses, 0, sizeof wrong / sizeof *wrong);
    tcase_add_test(tc, test_association_cut);
    tcase_add_test(tc, test_association_brackets_in_texts);
    tcase_add_test(tc, test_association_bounds);
    tcase_add_test(tc, test_association_read);
    suite_add_tcase(suite, tc);
    return support_run(suite);
}
