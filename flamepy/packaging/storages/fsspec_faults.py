# SPDX-License-Identifier: Apache-2.0
"""What went wrong, from the errors of the libraries below fsspec. Pure: looks at names and codes, imports none."""

from __future__ import annotations

import errno

from flamepy.packaging.storages.faults import Fault, StorageFault, causes, fault_of_network

_OF_CODE = {
    "NoSuchBucket": Fault.NO_PLACE,
    "ContainerNotFound": Fault.NO_PLACE,
    "InvalidBucketName": Fault.NO_PLACE,
    "AccessDenied": Fault.FORBIDDEN,
    "AllAccessDisabled": Fault.FORBIDDEN,
    "AccountProblem": Fault.FORBIDDEN,
    "403": Fault.FORBIDDEN,
    "ExpiredToken": Fault.EXPIRED,
    "ExpiredTokenException": Fault.EXPIRED,
    "RequestExpired": Fault.EXPIRED,
    "TokenRefreshRequired": Fault.EXPIRED,
    "InvalidAccessKeyId": Fault.BAD_CREDENTIALS,
    "InvalidToken": Fault.BAD_CREDENTIALS,
    "SignatureDoesNotMatch": Fault.BAD_CREDENTIALS,
    "AuthenticationFailed": Fault.BAD_CREDENTIALS,
    "RequestTimeTooSkewed": Fault.WRONG_CLOCK,
    "QuotaExceeded": Fault.FULL,
    "EntityTooLarge": Fault.FULL,
    "XMinioStorageFull": Fault.FULL,
    "XMinioAdminBucketQuotaExceeded": Fault.FULL,
    "InsufficientStorage": Fault.FULL,
    "507": Fault.FULL,
    "InternalError": Fault.FAILING,
    "ServiceUnavailable": Fault.FAILING,
    "SlowDown": Fault.FAILING,
    "500": Fault.FAILING,
    "502": Fault.FAILING,
    "503": Fault.FAILING,
    "504": Fault.FAILING,
    "404": Fault.NOT_THERE,
    "NoSuchKey": Fault.NOT_THERE,
}
_OF_CLASS = {  # by name: of botocore, google-auth and azure-identity
    "NoCredentialsError": Fault.NO_CREDENTIALS,
    "PartialCredentialsError": Fault.NO_CREDENTIALS,
    "ProfileNotFound": Fault.NO_CREDENTIALS,
    "DefaultCredentialsError": Fault.NO_CREDENTIALS,
    "CredentialUnavailableError": Fault.NO_CREDENTIALS,
    "UnauthorizedSSOTokenError": Fault.EXPIRED,
    "SSOTokenLoadError": Fault.EXPIRED,
    "TokenRetrievalError": Fault.EXPIRED,
    "RefreshError": Fault.EXPIRED,
    "ClientAuthenticationError": Fault.BAD_CREDENTIALS,
    "ConnectTimeoutError": Fault.UNREACHABLE,
    "ReadTimeoutError": Fault.SILENT,
    "FSTimeoutError": Fault.SILENT,
    "EndpointConnectionError": Fault.UNREACHABLE,
}
_OF_ERRNO = {
    errno.ENOSPC: Fault.FULL,
    errno.EDQUOT: Fault.FULL,
    errno.EMSGSIZE: Fault.FULL,
    errno.ENOSYS: Fault.NOT_SUPPORTED,
    errno.EBUSY: Fault.FAILING,
}


def fault_of(error: BaseException) -> StorageFault:
    """The fault that an error of any of these libraries stands for."""
    chain = list(causes(error))
    for each in chain:
        known = _OF_CODE.get(_code(each)) or _OF_CLASS.get(type(each).__name__)
        if known is Fault.UNREACHABLE:
            break  # the network says it in fewer words, and knows of certificates
        if known is not None:
            return StorageFault(known, _text(each))
    network = fault_of_network(error)
    if network is not None:
        return network
    for each in chain:
        if _OF_CLASS.get(type(each).__name__) is Fault.UNREACHABLE:
            return StorageFault(Fault.UNREACHABLE, _text(each))
    if isinstance(error, FileNotFoundError):
        return StorageFault(Fault.NOT_THERE)
    if isinstance(error, PermissionError):
        return StorageFault(Fault.FORBIDDEN, _text(error))
    if isinstance(error, TimeoutError):
        return StorageFault(Fault.SILENT, _text(error))
    if isinstance(error, NotImplementedError):
        return StorageFault(Fault.NOT_SUPPORTED, _text(error))
    if isinstance(error, OSError) and error.errno in _OF_ERRNO:
        return StorageFault(_OF_ERRNO[error.errno], _text(error))
    return StorageFault(Fault.OTHER, _text(error) or type(error).__name__)


def _code(error: BaseException) -> str:
    """Of a reply of S3 (botocore), Azure (``error_code``) or Google (``code``)."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        return str(response.get("Error", {}).get("Code", ""))
    return str(getattr(error, "error_code", None) or getattr(error, "code", None) or "")


def _text(error: BaseException) -> str:
    """In the other side's words, without the library's."""
    response = getattr(error, "response", None)
    if isinstance(response, dict) and response.get("Error", {}).get("Message"):
        return str(response["Error"]["Message"])
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error)
