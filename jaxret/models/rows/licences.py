"""Names of licences that more than one family is published under."""

CC_BY_NC = "CC BY-NC 4.0"
APACHE = "Apache-2.0"
