/*
 * test_nats_nkey: seeds of users, their public keys and signatures. The first two keys are those of
 * RFC 8032, as nkeys are written.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "server/nats/nkey.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define FIRST "SUAJ2YNRTXX72WTAXKCEV5ES5QWMIRCJYVUXWMTJDFYDXLADDSXH6YALCA"
#define SECOND "SUAEZTIITMUP7FW2TW3MGRXMCFHA6W4KGGPTLK5GETNIZ5XNJ64KN63OVI"

static void each_seed_has_its_public_key(void **state)
{
    (void) state;
    static const struct {
        const char *seed, *public_key;
    } table[] = {
        {FIRST, "UDLVVGABQKYQVN6VJP7NHSLEA45A5YLS6PNKMIZFV4BBU2HXA5IRUVAL"},
        {SECOND, "UA6UAF6D5BBYSWUSW4FKOTI3P26JZGBMZ4XMJFUMYDGVL4JK6RTAYUDN"},
        {"SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY",
         "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4"},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        char text[NKEY_PUBLIC_SIZE + 1];
        assert_int_equal(strlen(table[i].seed), NKEY_SEED_SIZE);
        assert_true(nkey_public(table[i].seed, NKEY_SEED_SIZE, text));
        assert_string_equal(text, table[i].public_key);
    }
}

static void what_is_no_users_seed_is_refused(void **state)
{
    (void) state;
    static const char *const table[] = {
        "",
        "SU",
        /* one less, and one more */
        "SUAJ2YNRTXX72WTAXKCEV5ES5QWMIRCJYVUXWMTJDFYDXLADDSXH6YALC",
        "SUAJ2YNRTXX72WTAXKCEV5ES5QWMIRCJYVUXWMTJDFYDXLADDSXH6YALCAA",
        /* another letter: the checksum is wrong; none of the alphabet */
        "SUAJ2YNRTXX72WTAXKCEV5ES5QWMIRCJYVUXWMTJDFYDXLADDSXH6YALCE",
        "SUAJ2YNRTXX72WTAXKDEV5ES5QWMIRCJYVUXWMTJDFYDXLADDSXH6YALCA",
        "SUAJ2YNRTXX72WTAXKCEV5ES5QWMIRCJYVUXWMTJDFYDXLADDSXH6YALC0",
        "suaj2ynrtxx72wtaxkcev5es5qwmircjyvuxwmtjdfydxladdsxh6yalca",
        "SUAJ2YNRTXX72WTAXKCEV5ES5QWM=RCJYVUXWMTJDFYDXLADDSXH6YALCA",
        /* of an account; a user's private key, and public key */
        "SAAEZTIITMUP7FW2TW3MGRXMCFHA6W4KGGPTLK5GETNIZ5XNJ64KN645MY",
        "PUAEZTIITMUP7FW2TW3MGRXMCFHA6W4KGGPTLK5GETNIZ5XNJ64KN637JM",
        "UDLVVGABQKYQVN6VJP7NHSLEA45A5YLS6PNKMIZFV4BBU2HXA5IRUVAL",
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        char text[NKEY_PUBLIC_SIZE + 1];
        if (nkey_public(table[i], strlen(table[i]), text))
            fail_msg("%s was taken", table[i]);
    }
}

static void a_nul_within_is_no_letter(void **state)
{
    (void) state;
    char seed[NKEY_SEED_SIZE + 1] = FIRST, text[NKEY_PUBLIC_SIZE + 1];
    seed[NKEY_SEED_SIZE - 3] = '\0';
    assert_false(nkey_public(seed, NKEY_SEED_SIZE, text));
}

static void signatures_are_those_of_ed25519(void **state)
{
    (void) state;
    static const struct {
        const char *seed, *text, *signature;
    } table[] = {
        {FIRST, "",
         "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701"
         "cf9"
         "b46bd25bf5f0595bbe24655141438e7a100b"},
        {SECOND, "r",
         "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d"
         "0f1"
         "1d8c387b2eaeb4302aeeb00d291612bb0c00"},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        unsigned char signature[NKEY_SIGNATURE_SIZE];
        char hexadecimal[2 * NKEY_SIGNATURE_SIZE + 1];
        assert_true(nkey_sign(table[i].seed, table[i].text, signature));
        for (size_t j = 0; j < sizeof signature; j++)
            snprintf(hexadecimal + 2 * j, 3, "%02x", signature[j]);
        assert_string_equal(hexadecimal, table[i].signature);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_seed_has_its_public_key),
        cmocka_unit_test(what_is_no_users_seed_is_refused),
        cmocka_unit_test(a_nul_within_is_no_letter),
        cmocka_unit_test(signatures_are_those_of_ed25519),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
